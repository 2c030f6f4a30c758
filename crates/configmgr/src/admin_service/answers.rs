//! AdminService answers, by class and key: the files of an export (`wmi/<Class>.json`,
//! `wmi/<Class>('<key>').json`), or what the live service has just said.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::error::ExportError;
use super::row::{Origin, Record, Row};
use crate::text;
use crate::whole_file::read_whole;

/// An exported class has all rows of a site in one file.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Answers, found by what they answer: class and key are compared without case. In the names of files,
/// quotes and other characters may be percent-encoded, a numeric key may be quoted or not.
#[derive(Debug, Clone)]
pub struct AdminServiceAnswers {
    wmi: PathBuf,
    answers: HashMap<(String, Option<String>), Answer>,
}

/// One answer.
#[derive(Debug, Clone)]
struct Answer {
    /// Its file, or its address: for messages.
    path: PathBuf,
    /// What the live service said.
    said: Option<Value>,
}

impl AdminServiceAnswers {
    /// Lists the answers below `root`, which is the folder that stands for `…/AdminService` (or the
    /// `wmi` folder inside it).
    pub fn open(root: &Path) -> Result<Self, ExportError> {
        let wmi = list(root)?
            .into_iter()
            .find(|path| file_name(path).eq_ignore_ascii_case("wmi") && path.is_dir())
            .unwrap_or_else(|| root.to_owned());
        let mut answers: HashMap<_, Answer> = HashMap::new();
        for path in list(&wmi)? {
            let Some(answer) = meaning(&file_name(&path)) else {
                continue;
            };
            let file = Answer { path: path.clone(), said: None };
            if let Some(first) = answers.insert(answer.clone(), file) {
                let (class, key) = answer;
                let what = key.map_or(class.clone(), |key| format!("{class}('{key}')"));
                return Err(ExportError::Twice { what, first: first.path, second: path });
            }
        }
        Ok(Self { wmi, answers })
    }

    /// No answers yet, from the service at `address`.
    pub(super) fn of_service(address: &str) -> Self {
        Self { wmi: PathBuf::from(format!("{address}/wmi")), answers: HashMap::new() }
    }

    /// Takes up what the service said of a class, or of one instance.
    pub(super) fn add(&mut self, class: &str, key: Option<&str>, said: Value) {
        let path = match key {
            Some(key) => PathBuf::from(format!("{}/{class}('{key}')", self.wmi.display())),
            None => PathBuf::from(format!("{}/{class}", self.wmi.display())),
        };
        let what = (class.to_ascii_lowercase(), key.map(str::to_lowercase));
        self.answers.insert(what, Answer { path, said: Some(said) });
    }

    /// Whether there is an answer for the whole class.
    pub fn has_class(&self, class: &str) -> bool {
        self.answers.contains_key(&(class.to_ascii_lowercase(), None))
    }

    /// Where the answer for a class is, or should be.
    pub fn class_path(&self, class: &str) -> PathBuf {
        let found = self.answers.get(&(class.to_ascii_lowercase(), None));
        found
            .map(|answer| answer.path.clone())
            .unwrap_or_else(|| self.wmi.join(format!("{class}.json")))
    }

    /// Where the single-instance answer is, or should be.
    pub fn instance_path(&self, class: &str, key: &str) -> PathBuf {
        self.wmi.join(format!("{class}('{key}').json"))
    }

    /// All instances of a class; none if the class is not in the export.
    pub fn records<T: Record>(&self) -> Result<Vec<T>, ExportError> {
        self.rows(T::CLASS)?.iter().map(T::read).collect()
    }

    /// All instances of a class that a build can't do without.
    pub fn required_records<T: Record>(&self) -> Result<Vec<T>, ExportError> {
        if !self.has_class(T::CLASS) {
            let path = self.class_path(T::CLASS);
            return Err(ExportError::MissingClass { class: T::CLASS.to_owned(), path });
        }
        self.records()
    }

    /// All rows of a class; none if the class is not in the export.
    pub fn rows(&self, class: &str) -> Result<Vec<Row>, ExportError> {
        match self.answers.get(&(class.to_ascii_lowercase(), None)) {
            None => Ok(Vec::new()),
            Some(answer) => answer.rows(class, false),
        }
    }

    /// The rows of all single-instance answers of a class, in the order of their keys.
    pub fn instance_rows(&self, class: &str) -> Result<Vec<Row>, ExportError> {
        let class_key = class.to_ascii_lowercase();
        let mut found: Vec<_> = self
            .answers
            .iter()
            .filter(|((file_class, key), _)| *file_class == class_key && key.is_some())
            .collect();
        found.sort_by_key(|(what, _)| *what);
        let mut rows = Vec::new();
        for (_, answer) in found {
            rows.extend(answer.rows(class, true)?);
        }
        Ok(rows)
    }

    /// The single-instance answer, which alone has lazy properties; `None` if it is not in the export.
    pub fn instance<T: Record>(&self, key: &str) -> Result<Option<T>, ExportError> {
        let answer = (T::CLASS.to_ascii_lowercase(), Some(key.to_lowercase()));
        let Some(answer) = self.answers.get(&answer) else {
            return Ok(None);
        };
        match answer.rows(T::CLASS, true)?.as_slice() {
            [row] => T::read(row).map(Some),
            _ => {
                let expected = "exactly one instance";
                Err(ExportError::Shape { path: answer.path.clone(), expected })
            }
        }
    }
}

impl Answer {
    fn rows(&self, class: &str, single: bool) -> Result<Vec<Row>, ExportError> {
        let json = match &self.said {
            Some(said) => said.clone(),
            None => read_json(&self.path)?,
        };
        Ok(number(&self.path, class, objects(&self.path, json, single)?))
    }
}

fn number(path: &Path, class: &str, objects: Vec<Map<String, Value>>) -> Vec<Row> {
    let origin = Arc::new(Origin { path: path.to_owned(), class: class.to_owned() });
    let rows = objects.into_iter().enumerate();
    rows.map(|(index, values)| Row::new(origin.clone(), index + 1, values)).collect()
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, ExportError> {
    let io = |source| ExportError::Io { path: folder.to_owned(), source };
    let entries = fs::read_dir(folder).map_err(io)?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| ExportError::Io { path: folder.to_owned(), source })?;
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Class and key of a file name; `None` if it is not an answer's.
fn meaning(name: &str) -> Option<(String, Option<String>)> {
    let name = percent_decoded(name).to_lowercase();
    let stem = name.strip_suffix(".json")?;
    let Some((class, key)) = stem.split_once('(') else {
        return Some((stem.to_owned(), None));
    };
    let key = key.strip_suffix(')')?;
    let quotes = ['\'', '"', '’', '‘'];
    // OData also has the named form: SMS_Package(PackageID='PS100012').
    let key = key.split_once('=').map_or(key, |(_, value)| value).trim_matches(quotes);
    Some((class.to_owned(), Some(key.to_owned())))
}

fn percent_decoded(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = match rest {
            [b'%', high, low, after @ ..] => {
                let digits = [*high, *low];
                let mut byte = [0];
                hex::decode_to_slice(digits, &mut byte).ok().map(|()| (byte, after))
            }
            _ => None,
        };
        match escaped {
            Some(([byte], after)) => (bytes.push(byte), rest = after).1,
            None => (bytes.push(*first), rest = tail).1,
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| name.to_owned())
}

fn read_json(path: &Path) -> Result<Value, ExportError> {
    let bytes = read_whole(path, FILE_BYTES_MAX)
        .map_err(|source| ExportError::Io { path: path.to_owned(), source })?;
    let text = text::decode(&bytes)
        .map_err(|source| ExportError::Encoding { path: path.to_owned(), source })?;
    serde_json::from_str(&text).map_err(|error| ExportError::Json {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
        reason: error.to_string(),
    })
}

/// The instances in an answer: `{"value":[…]}`, a bare array, a bare object, or `{"value":{…}}`. A bare
/// object is an instance of its own only where `single`, or where it has no `value`.
fn objects(path: &Path, json: Value, single: bool) -> Result<Vec<Map<String, Value>>, ExportError> {
    let shape = |expected| ExportError::Shape { path: path.to_owned(), expected };
    let values = match json {
        Value::Array(values) => values,
        Value::Object(mut map) => {
            let wrapper = map.get("value").is_some_and(|v| v.is_array() || v.is_object());
            let partial = map.get("@odata.nextLink").is_some_and(|link| !link.is_null());
            match (wrapper, map.remove("value")) {
                (true, Some(_)) if partial && !single => {
                    return Err(ExportError::Partial { path: path.to_owned() });
                }
                (true, Some(Value::Array(values))) => values,
                (true, Some(one)) => vec![one],
                (_, Some(Value::Null)) => Vec::new(),
                _ => vec![Value::Object(map)],
            }
        }
        Value::Null => Vec::new(),
        _ => return Err(shape("{\"value\":[…]}, a list, or one object")),
    };
    values
        .into_iter()
        .map(|value| match value {
            Value::Object(map) => Ok(map),
            _ => Err(shape("every instance to be an object")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_say_class_and_key() {
        let key = |class: &str, key: &str| Some((class.to_owned(), Some(key.to_owned())));
        assert_eq!(meaning("SMS_Package.json"), Some(("sms_package".into(), None)));
        assert_eq!(meaning("SMS_Package('PS100012').JSON"), key("sms_package", "ps100012"));
        assert_eq!(meaning("SMS_Package(%27PS100012%27).json"), key("sms_package", "ps100012"));
        assert_eq!(meaning("SMS_Application(16777219).json"), key("sms_application", "16777219"));
        assert_eq!(
            meaning("sms_application(CI_ID=16777219).json"),
            key("sms_application", "16777219")
        );
        assert_eq!(meaning("SMS_Package(.json"), None);
        assert_eq!(meaning("readme.txt"), None);
        assert_eq!(percent_decoded("100%"), "100%");
    }
}
