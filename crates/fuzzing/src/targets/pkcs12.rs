//! A certificate with its key, as people export it: PKCS#12, and the X.509 certificates in it.

use prestage_media::{MediaId, Secret, SecretBytes, certificate};
use time::OffsetDateTime;

pub(super) fn check(input: &[u8]) {
    let (file, medium) = (SecretBytes::new(input.to_vec()), MediaId::from_random([7; 16]));
    let now = OffsetDateTime::UNIX_EPOCH + time::Duration::days(30_000);
    match certificate::import(&file, &Secret::from("right"), medium, now) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(imported) => {
            // What was wrapped for the medium opens with the medium's own password, and is the same.
            let again = certificate::open(&imported.certificate.pfx, medium);
            let thumbprint = again.map(|again| again.thumbprint).ok();
            assert_eq!(thumbprint, Some(imported.certificate.thumbprint));
        }
    }
}
