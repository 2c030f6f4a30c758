//! What the integration tests share.
#![allow(dead_code, unreachable_pub)]

pub mod conformance;
pub mod seaweed;
