//! Reads a token: its header, its claims once the signature is right, and who they say it is.

use std::time::Duration;

use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, errors::ErrorKind};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::{OidcError, OidcIdentity, OidcSettings, fetch::trimmed, keys::Key};

/// Longer than any header that servers take by default.
const TOKEN_BYTES_MAX: usize = 16 << 10;
/// Of a name, and of each group's.
const NAME_CHARACTERS_MAX: usize = 256;

/// The kinds of token that are taken: ID tokens and access tokens, not proofs or log-outs.
const KINDS: [&str; 3] = ["JWT", "at+jwt", "application/at+jwt"];

type Claims = Map<String, Value>;

/// What a token says of its own signature: not to be believed before that was checked.
pub(crate) fn header(token: &str) -> Result<Header, OidcError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(OidcError::TooLong(TOKEN_BYTES_MAX));
    }
    let header = decode_header(token).map_err(|_| OidcError::Malformed)?;
    let kind = |typ: &String| KINDS.iter().any(|kind| kind.eq_ignore_ascii_case(typ));
    // What is critical must be understood, and nothing of it is.
    if header.crit.is_some() || !header.typ.as_ref().is_none_or(kind) {
        return Err(OidcError::Malformed);
    }
    if matches!(header.alg, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) {
        return Err(OidcError::Algorithm);
    }
    Ok(header)
}

/// The claims of a token that was signed with this key.
pub(crate) fn claims(token: &str, algorithm: Algorithm, key: &Key) -> Result<Claims, OidcError> {
    if !key.algorithms.contains(&algorithm) {
        return Err(OidcError::Algorithm);
    }
    // Signature only: the library would take the time from the system.
    let mut signature = Validation::new(algorithm);
    signature.required_spec_claims.clear();
    signature.validate_exp = false;
    signature.validate_aud = false;
    let decoded = decode::<Claims>(token, &key.decoding, &signature);
    // What the library says may repeat parts of the token.
    let decoded = decoded.map_err(|error| match error.kind() {
        ErrorKind::InvalidSignature => OidcError::Signature,
        _ => OidcError::Malformed,
    })?;
    Ok(decoded.claims)
}

/// What claims must say.
pub(crate) struct Expected {
    settings: OidcSettings,
}

impl Expected {
    pub fn new(settings: OidcSettings) -> Self {
        Self { settings }
    }

    /// Who they say it is, if they are by this issuer, for us and for now.
    pub fn identity(
        &self,
        claims: &Claims,
        now: OffsetDateTime,
    ) -> Result<OidcIdentity, OidcError> {
        let OidcSettings { issuer, audience, name_claim, groups_claim, leeway, .. } =
            &self.settings;
        let by = claims.get("iss").and_then(Value::as_str);
        if by.is_none_or(|by| trimmed(by) != trimmed(issuer.as_str())) {
            return Err(OidcError::Issuer);
        }
        let for_us = match claims.get("aud") {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(several)) => several.iter().any(|one| one == audience),
            _ => false,
        };
        if !for_us {
            return Err(OidcError::Audience);
        }
        let expires = instant(claims, "exp")?.ok_or_else(|| OidcError::Claim("exp".into()))?;
        if now >= later(expires, *leeway) {
            return Err(OidcError::Expired);
        }
        if instant(claims, "nbf")?.is_some_and(|begins| later(now, *leeway) < begins) {
            return Err(OidcError::NotYet);
        }
        let name = claims.get(name_claim).and_then(text);
        let name = name.ok_or_else(|| OidcError::Claim(name_claim.clone()))?;
        let groups = groups(claims.get(groups_claim));
        let groups = groups.ok_or_else(|| OidcError::Claim(groups_claim.clone()))?;
        Ok(OidcIdentity { name, groups, expires })
    }
}

fn later(time: OffsetDateTime, by: Duration) -> OffsetDateTime {
    time::Duration::try_from(by).map_or(time, |by| time.saturating_add(by))
}

/// A time among the claims: seconds since 1970, perhaps with a fraction.
fn instant(claims: &Claims, claim: &str) -> Result<Option<OffsetDateTime>, OidcError> {
    let Some(value) = claims.get(claim) else {
        return Ok(None);
    };
    let seconds = value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds.floor() as i64));
    let instant = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    instant.map(Some).ok_or_else(|| OidcError::Claim(claim.to_owned()))
}

/// A name that can be shown and compared.
fn text(value: &Value) -> Option<String> {
    let name = value.as_str()?;
    let odd = name.trim() != name || name.chars().any(char::is_control);
    let fits = !name.is_empty() && name.chars().count() <= NAME_CHARACTERS_MAX;
    (fits && !odd).then(|| name.to_owned())
}

fn groups(claim: Option<&Value>) -> Option<Vec<String>> {
    match claim {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(several)) => several.iter().map(text).collect(),
        Some(one) => Some(vec![text(one)?]),
    }
}
