//! What can be wrong with an export.

use std::io;
use std::path::PathBuf;

use crate::text::DecodeError;

/// An AdminService answer that is missing or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The folder of answers cannot be listed, or a file in it not be read.
    #[error("{path}: {source}; check the path and that it may be read", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A class that a build can't do without has no file.
    #[error("{path} is not in the export; save what GET AdminService/wmi/{class} returns there", path = path.display())]
    MissingClass {
        /// The class.
        class: String,
        /// The file that should be there.
        path: PathBuf,
    },
    /// Two files say they are the same answer.
    #[error("{first} and {second} both hold the answer for {what}; keep the newer one", first = first.display(), second = second.display())]
    Twice {
        /// Class, and key if any.
        what: String,
        /// One file.
        first: PathBuf,
        /// The other file.
        second: PathBuf,
    },
    /// The file is not text.
    #[error("{path}: {source}", path = path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: DecodeError,
    },
    /// The file is not JSON.
    #[error("{path}: not valid JSON at line {line}, column {column}: {reason}; export it again", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What the parser says.
        reason: String,
    },
    /// JSON, but not an answer.
    #[error("{path}: expected {expected}; export it again", path = path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// What an answer looks like.
        expected: &'static str,
    },
    /// The answer has further pages that are not in the file.
    #[error("{path} holds only the first page of the answer (@odata.nextLink); export all of it", path = path.display())]
    Partial {
        /// The file.
        path: PathBuf,
    },
    /// A row without a property it must have.
    #[error("{path}, row {row}: {class}.{property} is missing; export the class with all its properties", path = path.display())]
    MissingProperty {
        /// The file.
        path: PathBuf,
        /// Row in the file, from 1.
        row: usize,
        /// The class.
        class: String,
        /// The property.
        property: &'static str,
    },
    /// A property whose value is of another kind.
    #[error("{path}, row {row}: {class}.{property} should be {expected}, but is {found}", path = path.display())]
    WrongValue {
        /// The file.
        path: PathBuf,
        /// Row in the file, from 1.
        row: usize,
        /// The class.
        class: String,
        /// The property.
        property: &'static str,
        /// What belongs there.
        expected: &'static str,
        /// What is there, shortened.
        found: String,
    },
}
