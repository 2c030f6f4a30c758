//! One tree for TOML and JSON, with the place of everything that has one.

use toml::de::{DeTable, DeValue};

use super::problem::{Report, Span};

/// A value of the spec and where it stands.
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) span: Span,
}

pub(super) enum Value {
    Text(String),
    Integer(i64),
    Float,
    Boolean(bool),
    /// A TOML date-time, as it is written.
    Moment(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
    Null,
}

/// One key of a table.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) name_span: Span,
    pub(super) node: Node,
}

impl Value {
    /// What it is, for messages.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float => "a number with a fraction",
            Self::Boolean(_) => "true or false",
            Self::Moment(_) => "a date and time",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Null => "null",
        }
    }
}

/// Reads TOML. Every syntax error is reported; what could be read comes back regardless.
pub(super) fn from_toml(text: &str, report: &mut Report<'_>) -> Node {
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        report.problem(
            &Some(error.span().unwrap_or(0..0)),
            "",
            format!("this is not TOML: {}", error.message()),
            "correct it; https://toml.io says how TOML is written",
        );
    }
    let span = root.span();
    Node { value: Value::Table(entries(root.get_ref())), span: Some(span) }
}

fn entries(table: &DeTable<'_>) -> Vec<Entry> {
    let entry = |(name, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| Entry {
        name: String::from(AsRef::<std::borrow::Cow<'_, str>>::as_ref(name).as_ref()),
        name_span: Some(name.span()),
        node: Node { value: convert(value.get_ref()), span: Some(value.span()) },
    };
    let mut entries: Vec<Entry> = table.iter().map(entry).collect();
    entries.sort_by_key(|entry| entry.name_span.as_ref().map(|span| span.start));
    entries
}

fn convert(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => {
            // The parser has checked the digits; what does not fit is as wrong as a fraction.
            i64::from_str_radix(number.as_str(), number.radix())
                .map_or(Value::Float, Value::Integer)
        }
        DeValue::Float(_) => Value::Float,
        DeValue::Boolean(yes) => Value::Boolean(*yes),
        DeValue::Datetime(moment) => Value::Moment(moment.to_string()),
        DeValue::Array(items) => Value::List(
            items
                .iter()
                .map(|item| Node { value: convert(item.get_ref()), span: Some(item.span()) })
                .collect(),
        ),
        DeValue::Table(table) => Value::Table(entries(table)),
    }
}

/// Reads JSON, which brings no places.
pub(super) fn from_json(value: &serde_json::Value) -> Node {
    use serde_json::Value as Json;
    let value = match value {
        Json::Null => Value::Null,
        Json::Bool(yes) => Value::Boolean(*yes),
        Json::Number(number) => number.as_i64().map_or(Value::Float, Value::Integer),
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(from_json).collect()),
        Json::Object(members) => Value::Table(
            members
                .iter()
                .map(|(name, value)| Entry {
                    name: name.clone(),
                    name_span: None,
                    node: from_json(value),
                })
                .collect(),
        ),
    };
    Node { value, span: None }
}
