//! The worker: what runs near a distribution point.
