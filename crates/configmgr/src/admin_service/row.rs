//! One instance of a class, as other people's exports write it.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::error::ExportError;

/// Where rows come from, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) path: PathBuf,
    pub(super) class: String,
}

/// One instance. Property names are compared without case, null and the empty text are absent, numbers
/// and booleans may be written as text; what is not asked for is ignored.
#[derive(Debug, Clone)]
pub struct Row {
    origin: Arc<Origin>,
    number: usize,
    values: Map<String, Value>,
}

/// A class that a build asks for.
pub trait Record: Sized {
    /// The provider's class name, which is also the file's.
    const CLASS: &'static str;

    /// Reads one instance.
    fn read(row: &Row) -> Result<Self, ExportError>;
}

impl Row {
    pub(super) fn new(origin: Arc<Origin>, number: usize, values: Map<String, Value>) -> Self {
        Self { origin, number, values }
    }

    fn value(&self, property: &str) -> Option<&Value> {
        self.values
            .get(property)
            .or_else(|| {
                let mut all = self.values.iter();
                all.find(|(name, _)| name.eq_ignore_ascii_case(property)).map(|(_, value)| value)
            })
            .filter(|value| !value.is_null())
    }

    /// A text, trimmed; a number is taken as its digits.
    pub fn text(&self, property: &'static str) -> Result<Option<String>, ExportError> {
        match self.value(property) {
            None => Ok(None),
            Some(Value::String(text)) => {
                let text = text.trim();
                Ok((!text.is_empty()).then(|| text.to_owned()))
            }
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(other) => Err(self.wrong(property, "text", other)),
        }
    }

    /// A text that must be there.
    pub fn required_text(&self, property: &'static str) -> Result<String, ExportError> {
        self.text(property)?.ok_or_else(|| self.missing(property))
    }

    /// A whole number that is not negative.
    pub fn number(&self, property: &'static str) -> Result<Option<u64>, ExportError> {
        const EXPECTED: &str = "a whole number";
        let Some(value) = self.value(property) else {
            return Ok(None);
        };
        let number = match value {
            Value::String(text) if text.trim().is_empty() => return Ok(None),
            Value::String(text) => text.trim().parse().ok(),
            // Some converters write every number as a double.
            Value::Number(number) => number.as_u64().or_else(|| {
                number.as_f64().filter(|f| f.fract() == 0.0 && *f >= 0.0).map(|f| f as u64)
            }),
            _ => None,
        };
        number.map(Some).ok_or_else(|| self.wrong(property, EXPECTED, value))
    }

    /// A number of 32 bits.
    pub fn small_number(&self, property: &'static str) -> Result<Option<u32>, ExportError> {
        let Some(number) = self.number(property)? else {
            return Ok(None);
        };
        u32::try_from(number)
            .map(Some)
            .map_err(|_| self.wrong(property, "a number of at most 32 bits", &Value::from(number)))
    }

    /// A number that must be there.
    pub fn required_number(&self, property: &'static str) -> Result<u64, ExportError> {
        self.number(property)?.ok_or_else(|| self.missing(property))
    }

    /// A boolean: `true`, `"True"`, `1`, `"0"` and so on.
    pub fn flag(&self, property: &'static str) -> Result<Option<bool>, ExportError> {
        let Some(value) = self.value(property) else {
            return Ok(None);
        };
        let text = match value {
            Value::Bool(flag) => return Ok(Some(*flag)),
            Value::String(text) => text.trim().to_ascii_lowercase(),
            other => other.to_string(),
        };
        match text.as_str() {
            "" => Ok(None),
            "true" | "1" | "-1" => Ok(Some(true)),
            "false" | "0" => Ok(Some(false)),
            _ => Err(self.wrong(property, "true or false", value)),
        }
    }

    /// Embedded instances: an array of objects, or the single object that a converter made of an
    /// array of one.
    pub fn rows(&self, property: &'static str) -> Result<Vec<Row>, ExportError> {
        let values = match self.value(property) {
            None => return Ok(Vec::new()),
            Some(Value::Array(values)) => values.as_slice(),
            Some(one) => std::slice::from_ref(one),
        };
        let rows = values.iter().filter(|value| !value.is_null()).map(|value| match value {
            Value::Object(map) => Ok(Row::new(self.origin.clone(), self.number, map.clone())),
            other => Err(self.wrong(property, "a list of objects", other)),
        });
        rows.collect()
    }

    fn missing(&self, property: &'static str) -> ExportError {
        ExportError::MissingProperty {
            path: self.origin.path.clone(),
            row: self.number,
            class: self.origin.class.clone(),
            property,
        }
    }

    fn wrong(&self, property: &'static str, expected: &'static str, found: &Value) -> ExportError {
        let mut found = found.to_string();
        if found.chars().count() > 60 {
            found = found.chars().take(60).chain(Some('…')).collect();
        }
        ExportError::WrongValue {
            path: self.origin.path.clone(),
            row: self.number,
            class: self.origin.class.clone(),
            property,
            expected,
            found,
        }
    }
}
