//! The build log: what `CreateTSMedia.log` is to the console's wizard, in the same form.
//!
//! Whoever makes an entry sees to it that no secret and no variable's value is in its text.

use std::fmt::Write as _;

use time::OffsetDateTime;
use time::macros::format_description;

/// The component that the console's own tool writes into its lines.
const COMPONENT: &str = "CreateTsMedia";
/// What ends a line's text in the file.
const END_OF_TEXT: &str = "]LOG]!>";

/// How serious an entry is, with the number that log viewers colour by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// As it should be.
    Info = 1,
    /// Doubtful, or tried again.
    Warning = 2,
    /// The build ends here.
    Error = 3,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// When, in UTC.
    pub at: OffsetDateTime,
    /// How serious.
    pub severity: Severity,
    /// What; may have several lines.
    pub text: String,
}

/// Entries in the form of Configuration Manager's logs, as its log viewers read it: one element a
/// line, times in UTC with their offset in minutes.
#[must_use]
pub fn to_file(entries: &[LogEntry]) -> String {
    let mut file = String::new();
    for entry in entries {
        let text = entry.text.replace(END_OF_TEXT, "]LOG]! >");
        let (time, date) = (time_of(entry.at), date_of(entry.at));
        // Writing to a string does not fail.
        let _ = write!(
            file,
            "<![LOG[{text}{END_OF_TEXT}<time=\"{time}+000\" date=\"{date}\" component=\"{COMPONENT}\" \
             context=\"\" type=\"{}\" thread=\"1\" file=\"prestage\">\r\n",
            entry.severity as u8
        );
    }
    file
}

/// Entries for people at a terminal: a line each, problems marked.
#[must_use]
pub fn to_text(entries: &[LogEntry]) -> String {
    let mut lines = String::new();
    for entry in entries {
        let mark = match entry.severity {
            Severity::Info => "",
            Severity::Warning => "warning: ",
            Severity::Error => "error: ",
        };
        let text = entry.text.replace('\n', "\n              ");
        let _ = writeln!(lines, "{}  {mark}{text}", time_of(entry.at));
    }
    lines
}

fn time_of(at: OffsetDateTime) -> String {
    let form = format_description!("[hour]:[minute]:[second].[subsecond digits:3]");
    at.to_offset(time::UtcOffset::UTC).format(form).unwrap_or_default()
}

fn date_of(at: OffsetDateTime) -> String {
    let form = format_description!("[month]-[day]-[year]");
    at.to_offset(time::UtcOffset::UTC).format(form).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn entry(text: &str) -> LogEntry {
        let at = datetime!(2026-11-23 06:45:52.1239 +2);
        LogEntry { at, severity: Severity::Warning, text: text.into() }
    }

    #[test]
    fn a_line_is_what_log_viewers_read() {
        assert_eq!(
            to_file(&[entry("Staging content")]),
            "<![LOG[Staging content]LOG]!><time=\"04:45:52.123+000\" date=\"11-23-2026\" \
             component=\"CreateTsMedia\" context=\"\" type=\"2\" thread=\"1\" file=\"prestage\">\r\n"
        );
    }

    #[test]
    fn no_text_ends_its_own_line() {
        let file = to_file(&[entry("a]LOG]!>b"), entry("c")]);
        assert_eq!(file.matches(END_OF_TEXT).count(), 2);
    }

    #[test]
    fn people_see_a_mark_and_indented_lines() {
        assert_eq!(to_text(&[entry("a\nb")]), "04:45:52.123  warning: a\n              b\n");
    }
}
