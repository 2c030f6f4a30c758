//! The certificate that a medium shows to the management point, and its PKCS#12.
//!
//! A management point answers only to certificates that the site knows: the DER and the PKCS#12
//! must be registered (`SubmitRegistrationRecord`, with the media ID as SMSID) before the medium is
//! used. Without that the build is right and the medium is refused. (Reference: media certificate;
//! the need to register is inferred.)
//!
//! Keys, salts and therefore PKCS#12 bytes are different each time: the crypto library takes its
//! own randomness and offers no seed. So the pair is made once, when the build is planned, and the
//! plan keeps it sealed; the same plan then gives the same medium.

mod imported;

use p12_keystore::{
    Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKey,
    PrivateKeyChain,
};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize, SerialNumber,
};
use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::media_id::MediaId;
use crate::unverified::CERTIFICATE_COMMON_NAME;
use prestage_secret::SecretBytes;

pub use imported::{ImportError, Imported, import, open};

/// Rounds of key derivation in the PKCS#12: what Windows itself writes. More would protect
/// nothing, since the password stands beside the file.
const PKCS12_ITERATIONS: u32 = 2000;

/// Ties the certificate to its key inside the PKCS#12; Windows writes the same bytes.
const LOCAL_KEY_ID: [u8; 4] = [1, 0, 0, 0];

/// What a self-signed certificate is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfSignedRequest {
    /// The medium; gives the password of the PKCS#12.
    pub media_id: MediaId,
    /// Common name of subject and issuer; `None` for the usual one.
    pub common_name: Option<String>,
    /// Not valid before; whole seconds.
    pub start: OffsetDateTime,
    /// Not valid after; whole seconds.
    pub expiry: OffsetDateTime,
    /// Sixteen random bytes for the serial number.
    pub serial: [u8; 16],
}

/// Where a certificate comes from. Only one from a public key infrastructure serves HTTPS management
/// points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateKind {
    /// Made for the medium.
    SelfSigned,
    /// Imported.
    Pki,
}

impl CertificateKind {
    /// `KeyType` of the registration record (reference: section 1.7).
    #[must_use]
    pub const fn key_type(self) -> u32 {
        match self {
            Self::SelfSigned => 1,
            Self::Pki => 2,
        }
    }
}

/// A certificate with its key.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedCertificate {
    /// Who issued it.
    pub kind: CertificateKind,
    /// Whom it names, as a distinguished name.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// The root of its chain, DER, if that is known.
    pub root: Option<Vec<u8>>,
    /// Certificate and key as PKCS#12 under [`MediaId::pfx_password`].
    pub pfx: SecretBytes,
    /// SHA-1 of the DER in upper-case hexadecimal, as Windows shows it.
    pub thumbprint: String,
    /// Not valid before.
    pub start: OffsetDateTime,
    /// Not valid after.
    pub expiry: OffsetDateTime,
}

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The dates are the wrong way round.
    #[error(
        "the media certificate would expire ({expiry}) before it starts ({start}): choose an expiry after the start"
    )]
    Validity {
        /// Not valid before.
        start: OffsetDateTime,
        /// Not valid after.
        expiry: OffsetDateTime,
    },
    /// The key pair or certificate could not be made.
    #[error(
        "the media certificate could not be made ({0}): check the common name, and that the system has randomness"
    )]
    Certificate(#[from] rcgen::Error),
    /// The imported file can't be used.
    #[error("security.certificate.pkcs12: the file can't be used, {0}")]
    Import(#[from] ImportError),
    /// The PKCS#12 could not be made.
    #[error(
        "the PKCS#12 of the media certificate could not be written ({0}): this is a fault in the program, report it"
    )]
    Pkcs12(#[from] p12_keystore::error::Error),
}

/// Makes an RSA-2048 key and a self-signed SHA-256 certificate for client authentication.
///
/// Key usage is signing (the client's proof to the management point) and key encipherment (policy
/// with secrets is enveloped to this certificate).
///
/// # Errors
/// [`CertificateError`] for dates out of order, or when the crypto library refuses.
pub fn self_signed(request: &SelfSignedRequest) -> Result<IssuedCertificate, CertificateError> {
    let (start, expiry) = (request.start, request.expiry);
    if expiry <= start {
        return Err(CertificateError::Validity { start, expiry });
    }
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
    let certificate = parameters(request).self_signed(&key)?.der().to_vec();
    let key = Zeroizing::new(key.serialize_der());
    let chain = vec![Certificate::from_der(&certificate)?];
    let pfx = wrap(PrivateKey::from_der(&key)?, chain, request.media_id)?;
    let thumbprint = thumbprint(&certificate);
    let subject = format!("CN={}", common_name(request));
    let (kind, issuer) = (CertificateKind::SelfSigned, subject.clone());
    let root = None;
    Ok(IssuedCertificate {
        kind,
        subject,
        issuer,
        certificate,
        root,
        pfx,
        thumbprint,
        start,
        expiry,
    })
}

fn common_name(request: &SelfSignedRequest) -> &str {
    request.common_name.as_deref().unwrap_or(CERTIFICATE_COMMON_NAME)
}

fn parameters(request: &SelfSignedRequest) -> CertificateParams {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name(request));
    let mut serial = request.serial;
    // A serial number is positive, and has no byte too many in front.
    serial[0] = (serial[0] & 0x7F) | 0x40;
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = name;
    parameters.not_before = request.start;
    parameters.not_after = request.expiry;
    parameters.serial_number = Some(SerialNumber::from_slice(&serial));
    parameters.key_usages =
        vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    parameters
}

/// SHA-1 of a DER certificate in upper-case hexadecimal.
#[must_use]
pub fn thumbprint(certificate: &[u8]) -> String {
    hex::encode_upper(Sha1::digest(certificate))
}

/// Key and certificate chain, its own first, as the PKCS#12 of a medium.
///
/// Encrypted with SHA-1 and three-key 3DES, authenticated with HMAC-SHA-1: the one combination that
/// `PFXImportCertStore` reads in every Windows PE that a site may still have as boot image. AES with
/// SHA-256 came with Windows 10 1709, and an older boot image would fail at first boot, in the
/// field. Nothing is lost: the password is 31 characters of a GUID that stands in the same file, so
/// what protects the key is the password of `Variables.dat`.
fn wrap(
    key: PrivateKey,
    chain: Vec<Certificate>,
    media_id: MediaId,
) -> Result<SecretBytes, CertificateError> {
    let chain = PrivateKeyChain::new(LOCAL_KEY_ID.as_slice(), key, chain);
    let mut store = KeyStore::new();
    store.add_entry(&media_id.to_string(), KeyStoreEntry::PrivateKeyChain(chain));
    let bytes = store
        .writer(media_id.pfx_password().expose())
        .encryption_algorithm(EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc)
        .encryption_iterations(PKCS12_ITERATIONS)
        .mac_algorithm(MacAlgorithm::HmacSha1)
        .mac_iterations(PKCS12_ITERATIONS)
        .write()?;
    Ok(SecretBytes::new(bytes))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn dates_out_of_order_are_refused_before_a_key_is_made() {
        let start = datetime!(2026-11-22 0:00 UTC);
        let request = SelfSignedRequest {
            media_id: MediaId::from_random([1; 16]),
            common_name: None,
            start,
            expiry: start,
            serial: [0; 16],
        };
        assert!(matches!(self_signed(&request), Err(CertificateError::Validity { .. })));
    }

    #[test]
    fn the_thumbprint_is_the_sha1_of_the_der() {
        assert_eq!(thumbprint(b"abc"), "A9993E364706816ABA3E25717850C26C9CD0D89D");
    }
}
