//! The WIM container: read by ranges, splice, encode, compose.
