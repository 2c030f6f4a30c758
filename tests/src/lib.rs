//! End-to-end and compatibility tests.
