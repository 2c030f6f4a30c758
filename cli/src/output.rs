//! What goes to standard output: a document for machines, or tables for people.
#![allow(clippy::print_stdout)]

use comfy_table::{Table, presets};
use humansize::{BINARY, format_size};
use serde_json::Value;

use crate::error::CliError;

/// How standard output is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// One JSON document.
    pub json: bool,
}

impl Output {
    /// Prints `document` for machines, or what `show` makes of it for people.
    pub fn print(
        self,
        document: &Value,
        show: impl FnOnce(&Value) -> String,
    ) -> Result<(), CliError> {
        let text = if self.json { serde_json::to_string_pretty(document)? } else { show(document) };
        println!("{}", text.trim_end());
        Ok(())
    }
}

/// Prints the one document of a command that ended badly.
pub fn print_error(document: &Value) {
    println!("{document:#}");
}

/// A table without lines between the rows.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    table
}

/// Bytes for people.
pub fn bytes(count: u64) -> String {
    format_size(count, BINARY)
}

/// A text field of a document, empty if it isn't there.
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// A number of a document, 0 if it isn't there.
pub fn number(value: &Value, field: &str) -> u64 {
    value.get(field).and_then(Value::as_u64).unwrap_or_default()
}

/// The elements of a list of a document.
pub fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value.get(field).and_then(Value::as_array).into_iter().flatten()
}
