//! `CreateMedia.exe`: the switches of prestaged media (reference: section 1.7).

use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339, macros::datetime};

use crate::ImportError;
use crate::cmdlet::stem;
use crate::draft::Draft;

/// The drafts of all lines that run `CreateMedia.exe`.
pub(crate) fn drafts(text: &str) -> Result<Vec<Draft>, ImportError> {
    // A caret at the end of a line goes on in the next.
    let joined = text.replace("^\r\n", " ").replace("^\n", " ");
    let lines = joined.lines().filter_map(|line| {
        let at = line.to_ascii_lowercase().find("createmedia.exe")?;
        line.get(at + "createmedia.exe".len()..)
    });
    lines.map(draft).collect()
}

fn draft(line: &str) -> Result<Draft, ImportError> {
    let mut draft = Draft::default();
    let mut kind = String::new();
    for word in words(line.trim_start_matches('"')) {
        let Some((switch, value)) =
            word.strip_prefix(['/', '-']).and_then(|rest| rest.split_once(':'))
        else {
            draft.leave_out(&word, "it is no switch of CreateMedia.exe");
            continue;
        };
        if switch.eq_ignore_ascii_case("T") {
            value.clone_into(&mut kind);
        } else {
            take(&mut draft, &switch.to_ascii_uppercase(), value);
        }
    }
    if !kind.eq_ignore_ascii_case("HD") {
        let kind = if kind.is_empty() { "media of no kind".into() } else { format!("/T:{kind}") };
        return Err(ImportError::OtherMedia { kind });
    }
    draft.leave_out("task sequence", "CreateMedia.exe does not name it: set task_sequence");
    Ok(draft)
}

fn take(draft: &mut Draft, switch: &str, value: &str) {
    let text = || Some(value.to_owned());
    match switch {
        "F" => {
            draft.output = text();
            draft.name = stem(value);
        }
        "D" => draft.distribution_points = list(value),
        "3" => draft.version = text(),
        "4" => draft.comment = text(),
        "E" => draft.prestart_package = text(),
        "G" => draft.prestart = text(),
        "R" => draft.certificate = text(),
        "B" => draft.boot_image = text(),
        "O" => draft.os_image = text(),
        "I" => draft.os_index = value.parse().ok(),
        "U" => draft.unknown_computers = is_true(value),
        "1" => draft.validity.0 = moment(draft, "/1", value),
        "2" => draft.validity.1 = moment(draft, "/2", value),
        "5" => draft.affinity = affinity(value),
        "X" => variable(draft, value),
        // User interaction: unattended media have none.
        "Z" => draft.unattended = !is_true(value),
        _ => take_rest(draft, switch),
    }
}

fn take_rest(draft: &mut Draft, switch: &str) {
    let why = match switch {
        "Y" => {
            draft.password = true;
            "passwords never stand in a spec: put it into the environment variable MEDIA_PASSWORD"
        }
        "W" => "passwords never stand in a spec: put it into the environment variable PFX_PASSWORD",
        "P" | "S" => "the site is named by --site",
        "C" => "who Prestage is to the site is said in the access file (docs/site.md)",
        "K" => "media are prestaged media here",
        "L" => "media bear the default label",
        "J" => "media for Internet clients only are not made here",
        _ => "it is no switch for prestaged media",
    };
    draft.leave_out(&format!("/{switch}"), why);
}

/// Words of a command line: quotes hold spaces together, anywhere in a word.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => words.push(String::new()),
            c => {
                if let Some(word) = words.last_mut() {
                    word.push(c);
                }
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn list(value: &str) -> Vec<String> {
    let parts = value.split([';', ',']).map(|part| part.trim().trim_start_matches('\\').to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

fn is_true(value: &str) -> bool {
    value.eq_ignore_ascii_case("true")
}

fn affinity(value: &str) -> Option<&'static str> {
    match value {
        "0" => Some("do-not-allow"),
        "1" => Some("administrator-approval"),
        "2" => Some("auto-approval"),
        _ => None,
    }
}

/// A FILETIME as `HIGH;LOW`.
fn moment(draft: &mut Draft, switch: &str, value: &str) -> Option<String> {
    let halves = value.split_once(';');
    let moment = halves.and_then(|(high, low)| {
        let (high, low): (i64, i64) = (high.trim().parse().ok()?, low.trim().parse().ok()?);
        // The halves may be written as signed numbers.
        let steps = ((high & 0xFFFF_FFFF) << 32) | (low & 0xFFFF_FFFF);
        let since = Duration::microseconds(steps / 10);
        let at: OffsetDateTime = datetime!(1601-01-01 0:00 UTC).checked_add(since)?;
        at.truncate_to_second().format(&Rfc3339).ok()
    });
    if moment.is_none() {
        draft.leave_out(switch, format!("{value:?} is no FILETIME as HIGH;LOW"));
    }
    moment
}

/// Management points travel among the variables.
fn variable(draft: &mut Draft, value: &str) {
    let (name, value) = value.split_once('=').unwrap_or((value, ""));
    match name.to_ascii_uppercase().as_str() {
        "SMSTSLOCATIONMPS" => {
            draft.management_points = value.split('*').map(str::to_owned).collect();
        }
        "SMSTSMP" => {
            draft.site_based = true;
            draft.management_points = vec![value.to_owned()];
        }
        _ if prestage_media::spec::sounds_secret(name) => {
            let why = format!(
                "by its name it is a secret: add {name} = {{ env = \"…\" }} under [customization.variables]"
            );
            draft.leave_out(&format!("/X:{name}"), why);
        }
        _ => draft.variable(name, value.to_owned()),
    }
}
