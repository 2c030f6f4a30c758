//! What is wrong with a spec, where, and what to do.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A place in the spec's file. Line and column count from 1; a column is a character.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The file as the caller named it.
    pub file: String,
    /// Line and column; absent for a spec that came as JSON.
    pub position: Option<(usize, usize)>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some((line, column)) => write!(f, "{}:{line}:{column}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

/// One thing that is wrong, or (as a warning) probably not meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// The key, dotted: `media.created_by`. Empty for the file as a whole.
    pub key: String,
    /// What is wrong. Never a variable's value or a password.
    pub what: String,
    /// What would be right.
    pub advice: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}\n    {}", self.what, self.advice)
    }
}

/// What is wrong with a spec, in the order of the file: all of it, or the first hundred. Displays one block for each problem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SpecError {
    /// The problems; never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// Problems, and warnings, that are told at most. A file that is no spec has one in every line,
/// and nobody reads so many.
const TOLD_MAX: usize = 100;

/// Collects problems and warnings while a spec is read.
pub(super) struct Report<'a> {
    file: &'a str,
    text: &'a str,
    problems: Vec<(usize, Problem)>,
    warnings: Vec<(usize, Problem)>,
    untold_problems: usize,
}

/// Bytes of the text that something stands in; absent for JSON.
pub(super) type Span = Option<Range<usize>>;

impl<'a> Report<'a> {
    pub(super) const fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, problems: Vec::new(), warnings: Vec::new(), untold_problems: 0 }
    }

    pub(super) fn problem(
        &mut self,
        span: &Span,
        key: &str,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) {
        if self.problems.len() == TOLD_MAX {
            self.untold_problems += 1;
            return;
        }
        let entry = self.entry(span, key, what.into(), advice.into());
        self.problems.push(entry);
    }

    pub(super) fn warning(
        &mut self,
        span: &Span,
        key: &str,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) {
        if self.warnings.len() < TOLD_MAX {
            let entry = self.entry(span, key, what.into(), advice.into());
            self.warnings.push(entry);
        }
    }

    fn entry(&self, span: &Span, key: &str, what: String, advice: String) -> (usize, Problem) {
        let start = span.as_ref().map(|span| span.start);
        let place =
            Place { file: self.file.to_owned(), position: start.map(|at| position(self.text, at)) };
        (start.unwrap_or(0), Problem { place, key: key.to_owned(), what, advice })
    }

    fn untold(&self) -> Option<Problem> {
        (self.untold_problems > 0).then(|| Problem {
            place: Place { file: self.file.to_owned(), position: None },
            key: String::new(),
            what: format!("{} more problems are not listed", self.untold_problems),
            advice: "correct those above first".to_owned(),
        })
    }

    /// The warnings, or every problem, in the order of the file.
    pub(super) fn finish(self) -> Result<Vec<Problem>, SpecError> {
        if self.problems.is_empty() {
            return Ok(in_order(self.warnings));
        }
        let untold = self.untold();
        let mut problems = in_order(self.problems);
        problems.extend(untold);
        Err(SpecError { problems })
    }
}

fn in_order(mut entries: Vec<(usize, Problem)>) -> Vec<Problem> {
    entries.sort_by_key(|(at, _)| *at);
    entries.into_iter().map(|(_, problem)| problem).collect()
}

/// Line and column, from 1, of a byte of the text.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(at)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}
