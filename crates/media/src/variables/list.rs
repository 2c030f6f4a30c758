//! An ordered list of variables.

use std::collections::BTreeMap;
use std::fmt;

use prestage_secret::Secret;

/// Task sequence variables in the order in which they were set. Names compare without regard to
/// case, as in a task sequence. Values are treated as secrets: `Debug` shows names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct MediaVariables {
    list: Vec<(String, Secret)>,
    /// Places in the list by lower-case name: a file may name hundreds of thousands.
    places: BTreeMap<String, usize>,
}

impl MediaVariables {
    /// No variables.
    #[must_use]
    pub const fn new() -> Self {
        Self { list: Vec::new(), places: BTreeMap::new() }
    }

    /// Sets a variable; one that is there keeps its place and spelling and gets the new value.
    pub fn set(&mut self, name: &str, value: Secret) {
        let place = *self.places.entry(name.to_ascii_lowercase()).or_insert(self.list.len());
        match self.list.get_mut(place) {
            Some((_, old)) => *old = value,
            None => self.list.push((name.to_owned(), value)),
        }
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Secret> {
        let place = *self.places.get(&name.to_ascii_lowercase())?;
        self.list.get(place).map(|(_, value)| value)
    }

    /// The names, which are no secret, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|(name, _)| name.as_str())
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.list.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl fmt::Debug for MediaVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_compare_without_case_and_keep_their_place() {
        let mut variables = MediaVariables::new();
        variables.set("OSDTimeZone", "UTC".into());
        variables.set("Other", "1".into());
        variables.set("osdtimezone", "CET".into());
        assert_eq!(variables.names().collect::<Vec<_>>(), ["OSDTimeZone", "Other"]);
        assert_eq!(variables.get("OSDTIMEZONE").unwrap().expose(), "CET");
    }

    #[test]
    fn a_file_of_nothing_but_variables_takes_time_by_their_number() {
        let mut variables = MediaVariables::new();
        for number in 0..300_000 {
            variables.set(&format!("Variable{number}"), "x".into());
        }
        assert_eq!(variables.len(), 300_000);
        assert_eq!(variables.get("VARIABLE299999").unwrap().expose(), "x");
    }

    #[test]
    fn debug_shows_no_value() {
        let mut variables = MediaVariables::new();
        variables.set("JoinPassword", "hunter2".into());
        assert_eq!(format!("{variables:?}"), r#"{"JoinPassword"}"#);
    }
}
