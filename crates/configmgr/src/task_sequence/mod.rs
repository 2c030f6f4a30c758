//! A task sequence's steps, and which content they name (reference: sections 3.1 and 3.2).

mod command;
mod condition;
mod content;
mod sequence;

#[cfg(test)]
mod tests;

pub use condition::Condition;
pub(crate) use condition::shortened;
pub use content::{ContentUse, StepContent, StepTarget, step_content};
pub use sequence::{Group, Sequence, SequenceError, Step, StepVariable, XmlError};
