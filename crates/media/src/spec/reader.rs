//! Reading a table key by key, so that nothing in it goes unread.

use std::str::FromStr;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::node::{Entry, Node, Value};
use super::problem::{Report, Span};

/// How alike two keys must be for one to be suggested for the other (Jaro-Winkler, 0 to 1).
const LIKENESS: f64 = 0.8;

/// A value that was read, and where it stood.
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

/// Reads the keys of one table; [`TableReader::finish`] reports those that nobody asked for.
pub(super) struct TableReader<'n> {
    entries: &'n [Entry],
    path: String,
    span: Span,
    known: Vec<&'static str>,
}

impl<'n> TableReader<'n> {
    /// A reader of `node`, or a problem when that is no table.
    pub(super) fn open(node: &'n Node, path: &str, report: &mut Report<'_>) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            expected(report, node, path, "a table");
            return None;
        };
        let (path, span) = (path.to_owned(), node.span.clone());
        Some(Self { entries, path, span, known: Vec::new() })
    }

    /// Where the table stands.
    pub(super) const fn span(&self) -> &Span {
        &self.span
    }

    /// The dotted path of a key in this table.
    pub(super) fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The value of a key, if it is there.
    pub(super) fn node(&mut self, name: &'static str) -> Option<&'n Node> {
        self.known.push(name);
        let entry = self.entries.iter().find(|entry| entry.name == name)?;
        // JSON writers put null for what is absent.
        (!matches!(entry.node.value, Value::Null)).then_some(&entry.node)
    }

    /// The value of a key that must be there.
    pub(super) fn required(
        &mut self,
        name: &'static str,
        example: &str,
        report: &mut Report<'_>,
    ) -> Option<&'n Node> {
        let node = self.node(name);
        if node.is_none() {
            report.problem(&self.span, &self.key(name), "it is missing", format!("add {example}"));
        }
        node
    }

    /// A table in this table, if it is there.
    pub(super) fn table(
        &mut self,
        name: &'static str,
        report: &mut Report<'_>,
    ) -> Option<TableReader<'n>> {
        let key = self.key(name);
        self.node(name).and_then(|node| TableReader::open(node, &key, report))
    }

    /// Text, if it is there.
    pub(super) fn text(
        &mut self,
        name: &'static str,
        report: &mut Report<'_>,
    ) -> Option<Found<String>> {
        let key = self.key(name);
        self.node(name).and_then(|node| text(node, &key, report))
    }

    /// True or false; false when the key is absent, unless `default` says otherwise.
    pub(super) fn boolean(
        &mut self,
        name: &'static str,
        default: bool,
        report: &mut Report<'_>,
    ) -> bool {
        let key = self.key(name);
        let Some(node) = self.node(name) else {
            return default;
        };
        if let Value::Boolean(yes) = node.value {
            return yes;
        }
        expected(report, node, &key, "true or false, without quotes");
        default
    }

    /// A whole number in a range, if it is there.
    pub(super) fn number(
        &mut self,
        name: &'static str,
        range: std::ops::RangeInclusive<u32>,
        report: &mut Report<'_>,
    ) -> Option<Found<u32>> {
        let key = self.key(name);
        let node = self.node(name)?;
        let fits = match node.value {
            Value::Integer(number) => u32::try_from(number).ok().filter(|n| range.contains(n)),
            _ => None,
        };
        if fits.is_none() {
            let wanted = format!("a whole number from {} to {}", range.start(), range.end());
            expected(report, node, &key, &wanted);
        }
        fits.map(|value| Found { value, span: node.span.clone() })
    }

    /// One of several words, if it is there.
    pub(super) fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&str, T)],
        report: &mut Report<'_>,
    ) -> Option<T> {
        let found = self.text(name, report)?;
        let choice = choices.iter().find(|(word, _)| *word == found.value);
        if choice.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            report.problem(
                &found.span,
                &self.key(name),
                format!("\"{}\" is none of the choices", found.value),
                format!("write one of {}", words.join(", ")),
            );
        }
        choice.map(|(_, value)| *value)
    }

    /// A moment with its offset from UTC, if it is there.
    pub(super) fn moment(
        &mut self,
        name: &'static str,
        report: &mut Report<'_>,
    ) -> Option<Found<OffsetDateTime>> {
        let key = self.key(name);
        let node = self.node(name)?;
        let (Value::Moment(text) | Value::Text(text)) = &node.value else {
            expected(report, node, &key, "a date and time like 2026-11-22T00:00:00Z");
            return None;
        };
        if let Ok(value) = OffsetDateTime::parse(text, &Rfc3339) {
            return Some(Found { value, span: node.span.clone() });
        }
        report.problem(
            &node.span,
            &key,
            format!("{text} is not a date and time with an offset"),
            "write it like 2026-11-22T00:00:00Z, or with +01:00 instead of Z",
        );
        None
    }

    /// A list of things that are written as text; empty when the key is absent.
    pub(super) fn list<T>(&mut self, name: &'static str, report: &mut Report<'_>) -> Vec<Found<T>>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let key = self.key(name);
        let Some(node) = self.node(name) else {
            return Vec::new();
        };
        let Value::List(items) = &node.value else {
            expected(report, node, &key, "a list in square brackets");
            return Vec::new();
        };
        let item = |(index, node): (usize, &Node)| parsed(node, &format!("{key}[{index}]"), report);
        items.iter().enumerate().filter_map(item).collect()
    }

    /// Every key with its value, for a table whose keys are the administrator's.
    pub(super) const fn all(&self) -> &'n [Entry] {
        self.entries
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(self, report: &mut Report<'_>) {
        for entry in self.entries.iter().filter(|e| !self.known.contains(&e.name.as_str())) {
            let advice = match nearest(&entry.name, &self.known) {
                Some(known) => format!("did you mean {known}?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            let key = self.key(&entry.name);
            report.problem(&entry.name_span, &key, "there is no such key", advice);
        }
    }
}

/// Text, or a problem.
pub(super) fn text(node: &Node, key: &str, report: &mut Report<'_>) -> Option<Found<String>> {
    if let Value::Text(value) = &node.value {
        return Some(Found { value: value.clone(), span: node.span.clone() });
    }
    expected(report, node, key, "a string in quotes");
    None
}

/// Something that is written as text, or a problem with what its own parser says.
pub(super) fn parsed<T>(node: &Node, key: &str, report: &mut Report<'_>) -> Option<Found<T>>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    let found = text(node, key, report)?;
    match found.value.parse() {
        Ok(value) => Some(Found { value, span: found.span }),
        Err(error) => {
            // The messages of these errors read "what: what to do".
            let message: String = T::Err::to_string(&error);
            let (what, advice) = message.split_once(": ").unwrap_or((&message, "correct it"));
            report.problem(&found.span, key, what, advice);
            None
        }
    }
}

fn expected(report: &mut Report<'_>, node: &Node, key: &str, wanted: &str) {
    let what = match &node.value {
        Value::Integer(number) => format!("{number} does not fit here"),
        other => format!("this is {}", other.kind()),
    };
    report.problem(&node.span, key, what, format!("write {wanted}"));
}

fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let name = name.to_lowercase().replace('-', "_");
    let likeness = |word: &str| strsim::jaro_winkler(&name, word);
    known
        .iter()
        .copied()
        .filter(|word| likeness(word) >= LIKENESS)
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}
