//! A small but complete sample site.
