//! The media spec as the coordinator receives it.

use prestage_media::spec::MediaSpec;
use time::OffsetDateTime;

pub(super) fn check(input: &[u8]) {
    super::spec_toml::assert_checked(MediaSpec::from_json(input, OffsetDateTime::UNIX_EPOCH));
}
