//! What the integration tests share.
#![allow(dead_code, unreachable_pub)]

pub mod azurite;
pub mod conformance;
pub mod faults;
pub mod front;
pub mod garbage;
pub mod google;
pub mod seaweed;

pub use prestage_test_servers::ports;
