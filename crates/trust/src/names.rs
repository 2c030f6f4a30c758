//! How certificates carry identities.
//!
//! Those that our own authority issues have a URI in their subject alternative name, as SPIFFE does it
//! (SPIFFE-ID, section 2; X.509-SVID, section 2): `spiffe://DOMAIN/user/NAME`, `…/worker/ZONE/NAME`,
//! `…/coordinator/NAME`. Certificates of another authority are taken for users by their subject, never for
//! anything else.

use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

use crate::{Identity, TrustError};

const NAME_CHARS_MAX: usize = 64;

/// Checks that `name` can be part of an identity.
pub fn checked(name: &str) -> Result<&str, TrustError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@');
    let is_name = (1..=NAME_CHARS_MAX).contains(&name.len()) && name.chars().all(fits);
    // Where names are parts of a path these would lead elsewhere.
    if is_name && !matches!(name, "." | "..") {
        Ok(name)
    } else {
        Err(TrustError::Name(name.chars().take(NAME_CHARS_MAX).collect()))
    }
}

/// The URI of an identity in a domain; only those that our authority names have one.
pub(crate) fn uri(domain: &str, identity: &Identity) -> Option<String> {
    match identity {
        Identity::Local | Identity::Subject(_) | Identity::Oidc(_) => None,
        named => Some(format!("spiffe://{domain}/{named}")),
    }
}

/// Whom a certificate of our own authority names, and until when.
pub fn named_by_us(
    certificate: &CertificateDer<'_>,
    domain: &str,
) -> Result<(Identity, OffsetDateTime), TrustError> {
    let parsed = parse(certificate)?;
    let alternative = parsed.subject_alternative_name().ok().flatten();
    let names = alternative.iter().flat_map(|names| &names.value.general_names);
    let mut uris = names.filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let nobody = |what: &str| TrustError::Nobody(what.to_owned());
    let uri = uris.next().ok_or_else(|| nobody("it has no URI"))?;
    if uris.next().is_some() {
        return Err(nobody("it has more than one URI"));
    }
    let path = uri.strip_prefix("spiffe://").and_then(|rest| rest.strip_prefix(domain));
    let path = path.and_then(|path| path.strip_prefix('/'));
    let path = path.ok_or_else(|| nobody("its URI is of another domain"))?;
    let identity = from_path(path).ok_or_else(|| nobody("its URI is of no kind that we know"))?;
    Ok((identity, parsed.validity().not_after.to_datetime()))
}

/// The user whom a certificate of another authority names, and until when.
pub fn named_by_others(
    certificate: &CertificateDer<'_>,
) -> Result<(Identity, OffsetDateTime), TrustError> {
    let parsed = parse(certificate)?;
    let subject = parsed.subject().to_string();
    if subject.is_empty() {
        return Err(TrustError::Nobody("its subject is empty".into()));
    }
    Ok((Identity::Subject(subject), parsed.validity().not_after.to_datetime()))
}

fn from_path(path: &str) -> Option<Identity> {
    let names: Vec<&str> = path.split('/').collect();
    if names.iter().any(|name| checked(name).is_err()) {
        return None;
    }
    match names[..] {
        ["user", name] => Some(Identity::User(name.into())),
        ["worker", zone, name] => Some(Identity::Worker { zone: zone.into(), name: name.into() }),
        ["coordinator", name] => Some(Identity::Coordinator(name.into())),
        _ => None,
    }
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, TrustError> {
    let parsed = X509Certificate::from_der(certificate);
    parsed.map(|(_, parsed)| parsed).map_err(|error| TrustError::Nobody(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parts_of_a_path_and_nothing_else() {
        for name in ["alice", "berlin-1", "a.b@corp.example", "x_1"] {
            assert_eq!(checked(name).unwrap(), name);
        }
        for name in ["", ".", "..", "a/b", "a b", "Zoë", "a\nb", &"a".repeat(65)] {
            assert!(checked(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn paths_are_what_identities_show() {
        for path in ["user/alice", "worker/factory/berlin-1", "coordinator/c1.example"] {
            assert_eq!(from_path(path).unwrap().to_string(), path);
        }
        for path in ["local", "subject/CN=x", "worker/berlin-1", "user/", "user/a/b", "admin/a"] {
            assert_eq!(from_path(path), None, "{path}");
        }
    }
}
