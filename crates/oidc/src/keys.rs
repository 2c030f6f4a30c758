//! The keys of an issuer, kept for a while.
//!
//! A key that nobody knows may be new, so the issuer is asked; but anybody can name unknown keys, so
//! it is asked seldom, and by one call at a time. While it does not answer, the keys that it showed
//! last still count for a day.

use std::sync::{Arc, PoisonError, RwLock};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;

use crate::{OidcError, fetch::Fetcher};

/// Keys that were shown so long ago are asked for again.
const FRESH: Duration = Duration::minutes(30);
/// Keys that were shown so long ago don't count any more: they may have been withdrawn.
const STALE_MAX: Duration = Duration::hours(24);
/// The issuer is asked no more often than this.
const PAUSE: Duration = Duration::seconds(10);
/// Keys that are kept. Issuers show two or three.
const KEYS_MAX: usize = 100;

/// A public key.
#[derive(Clone)]
pub(crate) struct Key {
    kid: Option<String>,
    pub decoding: DecodingKey,
    /// What it may be used with.
    pub algorithms: Vec<Algorithm>,
}

/// What is known of an issuer's keys.
#[derive(Clone, Default)]
struct Known {
    keys: Arc<[Key]>,
    /// When they were shown.
    shown: Option<OffsetDateTime>,
    /// When the issuer was asked last.
    asked: Option<OffsetDateTime>,
    /// Why it then didn't show them.
    problem: Option<String>,
}

/// The keys of an issuer.
pub(crate) struct Keys {
    shown: Arc<Shown>,
    /// Held by whoever asks the issuer.
    asking: Arc<Mutex<()>>,
}

struct Shown {
    fetcher: Fetcher,
    known: RwLock<Known>,
}

impl Keys {
    pub fn new(fetcher: Fetcher) -> Self {
        let shown = Arc::new(Shown { fetcher, known: RwLock::default() });
        Self { shown, asking: Arc::default() }
    }

    /// The key of this name; the only one there is, if a token names none. Of several, the one for
    /// this algorithm.
    pub async fn find(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        now: OffsetDateTime,
    ) -> Result<Key, OidcError> {
        let known = self.shown.known();
        let found = known.find(kid, algorithm, now);
        let asking = self.asking.clone();
        let asking = match found {
            Some(key) if known.is_fresh(now) => return Ok(key),
            // The keys from before do, while another call asks for new ones.
            Some(key) => match asking.try_lock_owned() {
                Ok(asking) => asking,
                Err(_) => return Ok(key),
            },
            None => asking.lock_owned().await,
        };
        let shown = self.shown.clone();
        // Not of this call alone: whoever gives up at once would keep the others from the keys.
        let asked = tokio::spawn(async move {
            shown.ask(now).await;
            drop(asking);
        });
        if let Err(error) = asked.await {
            tracing::error!(%error, "asking the issuer ended badly");
        }
        let known = self.shown.known();
        known.find(kid, algorithm, now).ok_or_else(|| match known.problem {
            Some(problem) => {
                let issuer = self.shown.fetcher.issuer().to_string();
                OidcError::Unreachable { issuer, problem }
            }
            None => OidcError::UnknownKey,
        })
    }
}

impl Shown {
    /// Asks the issuer, unless somebody has just done so.
    async fn ask(&self, now: OffsetDateTime) {
        let known = self.known();
        if known.asked.is_some_and(|asked| (now - asked).abs() < PAUSE) {
            return;
        }
        let learnt = match self.fetcher.keys().await {
            Ok(keys) => Known {
                keys: keys.iter().filter_map(usable).take(KEYS_MAX).collect(),
                shown: Some(now),
                asked: Some(now),
                problem: None,
            },
            Err(problem) => {
                let issuer = self.fetcher.issuer();
                tracing::warn!(%issuer, problem, "the issuer does not show its keys");
                Known { asked: Some(now), problem: Some(problem), ..known }
            }
        };
        self.learn(learnt);
    }

    fn known(&self) -> Known {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn learn(&self, known: Known) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
    }
}

impl Known {
    fn is_fresh(&self, now: OffsetDateTime) -> bool {
        self.shown.is_some_and(|shown| (now - shown).abs() < FRESH)
    }

    fn find(&self, kid: Option<&str>, algorithm: Algorithm, now: OffsetDateTime) -> Option<Key> {
        self.shown.filter(|shown| (now - *shown).abs() < STALE_MAX)?;
        let found = match (kid, &*self.keys) {
            (None, [only]) => Some(only),
            (None, _) => None,
            (Some(kid), keys) => keys
                .iter()
                .filter(|key| key.kid.as_deref() == Some(kid))
                .max_by_key(|key| key.algorithms.contains(&algorithm)),
        };
        found.cloned()
    }
}

/// A key that signs, by a method whose verifiers can't sign.
fn usable(jwk: &Jwk) -> Option<Key> {
    if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    let mut algorithms = algorithms(&jwk.algorithm);
    if let Some(only) = jwk.common.key_algorithm {
        algorithms.retain(|algorithm| KeyAlgorithm::from(*algorithm) == only);
    }
    if algorithms.is_empty() {
        return None;
    }
    let decoding = DecodingKey::from_jwk(jwk).ok()?;
    Some(Key { kid: jwk.common.key_id.clone(), decoding, algorithms })
}

fn algorithms(key: &AlgorithmParameters) -> Vec<Algorithm> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    match key {
        AlgorithmParameters::RSA(_) => vec![RS256, RS384, RS512, PS256, PS384, PS512],
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => vec![ES256],
            EllipticCurve::P384 => vec![ES384],
            _ => Vec::new(),
        },
        AlgorithmParameters::OctetKeyPair(key) => match key.curve {
            EllipticCurve::Ed25519 => vec![EdDSA],
            _ => Vec::new(),
        },
        // Shared secrets, and what is not known.
        _ => Vec::new(),
    }
}
