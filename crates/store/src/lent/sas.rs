//! Azure: shared access signatures (SAS) of single blobs, made with the account's key. Nobody is asked.
//!
//! The client library signs, too, but a SAS of its own allows one method, counts from the very second that our
//! clock shows, over plain HTTP too, and is wrong for names with spaces.
//! <https://learn.microsoft.com/rest/api/storageservices/create-service-sas>

use std::{collections::BTreeMap, fmt, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Area, LendError, Scope};
use crate::options::StoreOptions;

/// The version that says how a SAS is signed.
const VERSION: &str = "2023-11-03";
const READ: &str = "r";
/// Read, create, write, delete: in the order that Azure wants.
const WRITE: &str = "rcwd";

/// Lends single blobs of an account.
pub struct SasLender {
    account: String,
    key: Vec<u8>,
    /// Where the account is reached over TLS, its signatures count over TLS alone.
    protocol: &'static str,
    life: Duration,
}

impl SasLender {
    /// One that lends blobs of the account of `options`, each time for `life`.
    pub fn new(life: Duration, options: &StoreOptions) -> Result<Self, LendError> {
        let account = options.azure_account();
        let key = options.azure_key().filter(|_| !account.name.is_empty());
        let key = BASE64_STANDARD.decode(key.ok_or(LendError::NoAccountKey)?);
        let key = key.map_err(|_| LendError::AccountKey)?;
        let protocol = if account.service.starts_with("https://") { "https" } else { "" };
        Ok(Self { account: account.name, key, protocol, life })
    }

    /// The SAS of each blob of a scope, by container and name, and until when they count.
    pub fn lend(
        &self,
        scope: &Scope,
        now: OffsetDateTime,
    ) -> Result<(BTreeMap<String, String>, OffsetDateTime), LendError> {
        let until = (now + self.life).replace_nanosecond(0).unwrap_or(now);
        let expiry = until.to_offset(time::UtcOffset::UTC).format(&Rfc3339);
        let expiry = expiry.map_err(|error| LendError::Request(error.to_string()))?;
        let sign = |area: &Area, permissions| {
            let blob = format!("{}/{}", area.bucket, area.prefix);
            let query = self.query(&blob, permissions, &expiry);
            query.map(|query| (blob, query))
        };
        let reads = scope.reads.iter().map(|area| sign(area, READ));
        // What may be written may be read: the later one counts.
        let writes = scope.writes.iter().map(|area| sign(area, WRITE));
        Ok((reads.chain(writes).collect::<Result<_, _>>()?, until))
    }

    fn query(&self, blob: &str, permissions: &str, expiry: &str) -> Result<String, LendError> {
        let resource = format!("/blob/{}/{blob}", self.account);
        // No start: clocks differ.
        let (start, identifier, address, snapshot, encryption) = ("", "", "", "", "");
        let (cache, disposition, encoding, language, kind) = ("", "", "", "", "");
        let signed = [
            permissions,
            start,
            expiry,
            &resource,
            identifier,
            address,
            self.protocol,
            VERSION,
            "b",
            snapshot,
            encryption,
            cache,
            disposition,
            encoding,
            language,
            kind,
        ];
        let wrong = |_| LendError::AccountKey;
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).map_err(wrong)?;
        mac.update(signed.join("\n").as_bytes());
        let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        let protocol = (!self.protocol.is_empty()).then_some(("spr", self.protocol));
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs([("sv", VERSION), ("se", expiry), ("sr", "b"), ("sp", permissions)]);
        query.extend_pairs(protocol).append_pair("sig", &signature);
        Ok(query.finish())
    }
}

impl fmt::Debug for SasLender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SasLender").field("account", &self.account).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::Cloud;

    const SETTINGS: [(&str, &str); 2] =
        [("AZURE_STORAGE_ACCOUNT_NAME", "acme"), ("AZURE_STORAGE_ACCOUNT_KEY", "aHVudGVyMg==")];

    fn lent(more: &[(&str, &str)]) -> BTreeMap<String, String> {
        let options = StoreOptions::from_pairs(SETTINGS.iter().chain(more).copied());
        let lender = SasLender::new(Duration::from_secs(3600), &options).unwrap();
        assert!(
            !format!("{lender:?}").contains("hunter2") && !format!("{lender:?}").contains("104")
        );
        let area =
            |name: &str| Area { cloud: Cloud::Azure, bucket: "packs".into(), prefix: name.into() };
        let (reads, writes) = (vec![area("a b"), area("both")], vec![area("both")]);
        let (lent, until) =
            lender.lend(&Scope { reads, writes }, OffsetDateTime::UNIX_EPOCH).unwrap();
        assert_eq!(until, OffsetDateTime::UNIX_EPOCH + Duration::from_secs(3600));
        lent
    }

    #[test]
    fn each_blob_has_a_signature_of_its_own() {
        let lent = lent(&[]);
        let names: Vec<&str> = lent.keys().map(String::as_str).collect();
        assert_eq!(names, ["packs/a b", "packs/both"]);
        let until = "se=1970-01-01T01%3A00%3A00Z";
        let start = format!("sv=2023-11-03&{until}&sr=b&sp=r&spr=https&sig=");
        assert!(lent["packs/a b"].starts_with(&start), "{lent:?}");
        assert!(lent["packs/both"].contains("&sp=rcwd&"), "{lent:?}");
        let signature = |name: &str| lent[name].split("sig=").nth(1).unwrap().to_owned();
        assert_ne!(signature("packs/a b"), signature("packs/both"));
    }

    #[test]
    fn signatures_count_over_tls_alone_where_there_is_tls() {
        let plain = lent(&[("AZURE_STORAGE_ENDPOINT", "http://127.0.0.1:1/acme")]);
        assert!(!plain["packs/both"].contains("spr="), "{plain:?}");
    }

    #[test]
    fn without_a_key_nothing_is_lent() {
        let lender = |pairs: &[(&str, &str)]| {
            let options = StoreOptions::from_pairs(pairs.iter().copied());
            SasLender::new(Duration::from_secs(1), &options).unwrap_err()
        };
        assert!(matches!(lender(&SETTINGS[..1]), LendError::NoAccountKey));
        assert!(matches!(lender(&SETTINGS[1..]), LendError::NoAccountKey));
        let wrong = ("AZURE_STORAGE_ACCOUNT_KEY", "hunter2!");
        let error = lender(&[SETTINGS[0], wrong]);
        assert!(matches!(error, LendError::AccountKey) && !error.to_string().contains("hunter"));
    }
}
