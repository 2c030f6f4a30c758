//! The media spec as TOML: what is accepted is the same spec as JSON, what isn't says why.

use prestage_media::spec::{CheckedSpec, MediaSpec, SpecError};
use time::OffsetDateTime;

pub(super) fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    assert_checked(MediaSpec::parse("w11.toml", &text, OffsetDateTime::UNIX_EPOCH));
}

pub(super) fn assert_checked(checked: Result<CheckedSpec, SpecError>) {
    match checked {
        Err(error) => {
            assert!(!error.problems.is_empty(), "refused without a reason");
            assert!(!error.to_string().is_empty());
        }
        Ok(CheckedSpec { spec, .. }) => {
            let json = serde_json::to_vec(&spec).unwrap_or_default();
            let again = MediaSpec::from_json(&json, OffsetDateTime::UNIX_EPOCH);
            assert_eq!(again.map(|again| again.spec), Ok(spec), "sent as JSON");
        }
    }
}
