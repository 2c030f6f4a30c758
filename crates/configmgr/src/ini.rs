//! INI text as the content library keeps it: sections and keys, compared without case.

/// An INI of `PkgLib` or `DataLib` has some hundred bytes.
pub(crate) const INI_BYTES_MAX: usize = 1 << 20;

/// A parsed INI text. Later keys of the same name are kept after earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ini {
    sections: Vec<Section>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Section {
    name: String,
    entries: Vec<(String, String)>,
}

impl Ini {
    /// Parses any text: lines that are neither a section nor a key are keys without a value.
    pub(crate) fn parse(text: &str) -> Self {
        let mut sections = vec![Section::default()];
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with(';') {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                sections.push(Section { name: name.trim().to_owned(), entries: Vec::new() });
                continue;
            }
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            if let Some(section) = sections.last_mut() {
                section.entries.push((key.trim().to_owned(), value.trim().to_owned()));
            }
        }
        Self { sections }
    }

    /// The first value of `key` in any section called `section`; `None` if absent or empty.
    pub(crate) fn get(&self, section: &str, key: &str) -> Option<&str> {
        self.entries(section)
            .find(|(name, _)| name.eq_ignore_ascii_case(key))
            .map(|(_, value)| value)
            .filter(|value| !value.is_empty())
    }

    /// The keys of every section called `section`, in order.
    pub(crate) fn keys(&self, section: &str) -> impl Iterator<Item = &str> {
        self.entries(section).map(|(key, _)| key)
    }

    fn entries<'a>(&'a self, section: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let wanted = section.to_ascii_lowercase();
        self.sections
            .iter()
            .filter(move |section| section.name.to_ascii_lowercase() == wanted)
            .flat_map(|section| section.entries.iter())
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_keys_are_found_without_case() {
        let ini = Ini::parse("; note\n[packages]\nPS100012.3=\nPS100012.4\n[INFO]\nversion = 4\n");
        assert_eq!(ini.get("Info", "Version"), Some("4"));
        assert_eq!(ini.keys("Packages").collect::<Vec<_>>(), ["PS100012.3", "PS100012.4"]);
        assert_eq!(ini.get("Info", "Hash"), None);
        assert_eq!(Ini::parse("").get("Info", "Hash"), None);
    }
}
