//! The prestage command.
fn main() {}
