//! A task sequence's steps, and which content they name (reference: sections 3.1 and 3.2).

mod command;
mod content;
mod sequence;

#[cfg(test)]
mod tests;

pub use content::{ContentUse, StepContent, StepTarget, step_content};
pub use sequence::{Sequence, SequenceError, Step, StepVariable, XmlError};
