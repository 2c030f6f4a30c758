//! The wizard's "import PKI certificate": a PKCS#12 file is checked and wrapped anew for the medium.

use p12_keystore::{Certificate, Pkcs12Archive, PrivateKey};
use rcgen::{KeyPair, PublicKeyData};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime};
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{CertificateError, CertificateKind, IssuedCertificate, thumbprint, wrap};
use crate::media_id::MediaId;
use prestage_secret::{Secret, SecretBytes};

/// An expiry that is nearer than this draws a warning: media lie on shelves.
const SOON: Duration = Duration::days(30);
/// A chain of long keys has some ten KiB.
const LARGEST_PKCS12_BYTES: usize = 256 << 10;
/// A bundle has a handful; a path longer than this was not made by anybody's issuing authority.
const CHAIN_MAX: usize = 16;

/// Why a PKCS#12 file can't be a medium's certificate. Nothing secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// Not PKCS#12, or damaged.
    #[error(
        "it is not a PKCS#12 file that can be read ({problem}): export the certificate with its private key as .pfx again"
    )]
    Unreadable {
        /// What the reader says.
        problem: String,
    },
    /// Some other file.
    #[error(
        "it has {bytes} bytes, and a certificate with its chain has some thousand: export that certificate alone"
    )]
    Size {
        /// How many it has.
        bytes: usize,
    },
    /// The file asks for more work than any export does: it says itself how often its password is hashed.
    #[error(
        "it could not be opened within {seconds} seconds: export the certificate with its private key as .pfx again"
    )]
    Work {
        /// How long it was tried.
        seconds: u64,
    },
    /// The password does not open it.
    #[error("its password does not open it: check security.certificate.pkcs12.password")]
    Password,
    /// It holds no private key.
    #[error("it holds no private key: export it with \"Yes, export the private key\"")]
    NoKey,
    /// It holds keys, and none belongs to a certificate in it.
    #[error(
        "none of its certificates belongs to its private key: export the certificate with its own key"
    )]
    NoCertificate,
    /// More than one of its certificates has its key in it.
    #[error(
        "it holds {count} certificates with their keys, and can't say which one the media are to have: export that one alone"
    )]
    Several {
        /// How many.
        count: usize,
    },
    /// Not RSA.
    #[error(
        "its key is not RSA of 2048 bits or more, the only kind known to work for media at first boot: issue a certificate with such a key"
    )]
    NotRsa,
    /// It is not for this.
    #[error("{what}: issue it from a template for client authentication")]
    Usage {
        /// What it lacks.
        what: &'static str,
    },
    /// Not valid yet, or any more.
    #[error("it is valid from {start} to {expiry}, and now it is {now}: {advice}")]
    Validity {
        /// Not valid before.
        start: OffsetDateTime,
        /// Not valid after.
        expiry: OffsetDateTime,
        /// When it was looked at.
        now: OffsetDateTime,
        /// What to do.
        advice: &'static str,
    },
    /// The chain in the file does not lead from authority to certificate.
    #[error(
        "the chain in it does not hold ({problem}): export it with \"include all certificates in the certification path\""
    )]
    Chain {
        /// What the verifier says.
        problem: String,
    },
}

/// A certificate taken over, with what is doubtful about it.
pub struct Imported {
    /// Certificate and key, wrapped for the medium.
    pub certificate: IssuedCertificate,
    /// For the administrator.
    pub warnings: Vec<String>,
}

/// Opens a PKCS#12 file, checks that its certificate can serve a medium `now`, and wraps it with its
/// chain under the password that the medium's own format demands ([`MediaId::pfx_password`]).
///
/// # Errors
/// [`CertificateError::Import`] for what is wrong with the file.
pub fn import(
    file: &SecretBytes,
    password: &Secret,
    media_id: MediaId,
    now: OffsetDateTime,
) -> Result<Imported, CertificateError> {
    let archive = read(file, password)?;
    let ders: Vec<&[u8]> = archive.certs.iter().map(|bag| bag.cert.as_der()).collect();
    let keys: Vec<&PrivateKey> = archive.keys.iter().map(|bag| &bag.key).collect();
    let (key, leaf) = own(&keys, &ders)?;
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|error| malformed(&error))?;
    let (start, expiry) = checked_validity(&parsed, now)?;
    check_usage(&parsed)?;
    let chain = chain(leaf, &ders);
    let mut warnings = check_chain(&parsed, &chain, now)?;
    if expiry - now < SOON {
        warnings.push(format!(
            "the imported certificate expires on {}, and media made with it stop working then: renew it first",
            expiry.date()
        ));
    }
    let certificates = chain.iter().map(|der| Certificate::from_der(der));
    let certificates: Vec<Certificate> = certificates.collect::<Result<_, _>>()?;
    let pfx = wrap(key.clone(), certificates, media_id)?;
    let issuers = chain.get(1..).unwrap_or_default();
    let root = issuers.last().filter(|der| is_self_signed(der)).map(|der| der.to_vec());
    if root.is_none() && !issuers.is_empty() {
        warnings.push("the chain of the imported certificate does not reach its root, so Windows PE can't be told whom to trust, and HTTPS fails at first boot (80072f8f): export it with all certificates in the path".to_owned());
    }
    let certificate = IssuedCertificate {
        kind: CertificateKind::Pki,
        root,
        subject: parsed.subject().to_string(),
        issuer: parsed.issuer().to_string(),
        certificate: leaf.to_vec(),
        pfx,
        thumbprint: thumbprint(leaf),
        start,
        expiry,
    };
    Ok(Imported { certificate, warnings })
}

/// Reads the certificate of a medium out of its own PKCS#12.
///
/// # Errors
/// [`CertificateError::Import`] when it does not open with the password of its format.
pub fn open(pfx: &SecretBytes, media_id: MediaId) -> Result<IssuedCertificate, CertificateError> {
    let archive = read(pfx, &media_id.pfx_password())?;
    let ders: Vec<&[u8]> = archive.certs.iter().map(|bag| bag.cert.as_der()).collect();
    let keys: Vec<&PrivateKey> = archive.keys.iter().map(|bag| &bag.key).collect();
    let (_, leaf) = own(&keys, &ders)?;
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|error| malformed(&error))?;
    let validity = parsed.validity();
    Ok(IssuedCertificate {
        root: None,
        kind: if is_self_signed(leaf) { CertificateKind::SelfSigned } else { CertificateKind::Pki },
        subject: parsed.subject().to_string(),
        issuer: parsed.issuer().to_string(),
        certificate: leaf.to_vec(),
        pfx: pfx.clone(),
        thumbprint: thumbprint(leaf),
        start: validity.not_before.to_datetime(),
        expiry: validity.not_after.to_datetime(),
    })
}

fn read(file: &SecretBytes, password: &Secret) -> Result<Pkcs12Archive, ImportError> {
    let bytes = file.expose().len();
    if bytes > LARGEST_PKCS12_BYTES {
        return Err(ImportError::Size { bytes });
    }
    Pkcs12Archive::from_pkcs12(file.expose(), password.expose()).map_err(unreadable)
}

fn unreadable(error: p12_keystore::error::Error) -> ImportError {
    use p12_keystore::error::Error::{MacError, UnpadError};
    match error {
        MacError(_) | UnpadError => ImportError::Password,
        other => ImportError::Unreadable { problem: other.to_string() },
    }
}

fn is_self_signed(der: &[u8]) -> bool {
    let parsed = X509Certificate::from_der(der);
    parsed.is_ok_and(|(_, c)| c.issuer().as_raw() == c.subject().as_raw())
}

fn malformed(error: &dyn std::fmt::Display) -> ImportError {
    ImportError::Unreadable { problem: error.to_string() }
}

/// The key and the certificate that is its own: told by the public key, since not every tool writes
/// the attribute that ties them.
fn own<'a>(
    keys: &[&'a PrivateKey],
    ders: &[&'a [u8]],
) -> Result<(&'a PrivateKey, &'a [u8]), ImportError> {
    let (mut not_rsa, mut found) = (false, Vec::new());
    for &key in keys {
        let pkcs8 = PrivatePkcs8KeyDer::from(key.as_der());
        let Ok(pair) = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8, &rcgen::PKCS_RSA_SHA256)
        else {
            not_rsa = true;
            continue;
        };
        let public = pair.subject_public_key_info();
        for &der in ders {
            let (_, parsed) = X509Certificate::from_der(der).map_err(|error| malformed(&error))?;
            if parsed.public_key().raw == public {
                found.push((key, der));
            }
        }
    }
    if let [.., last] = found[..] {
        return match found.len() {
            1 => Ok(last),
            count => Err(ImportError::Several { count }),
        };
    }
    Err(match (keys.is_empty(), not_rsa) {
        (true, _) => ImportError::NoKey,
        (_, true) => ImportError::NotRsa,
        _ => ImportError::NoCertificate,
    })
}

fn checked_validity(
    certificate: &X509Certificate<'_>,
    now: OffsetDateTime,
) -> Result<(OffsetDateTime, OffsetDateTime), ImportError> {
    let validity = certificate.validity();
    let (start, expiry) = (validity.not_before.to_datetime(), validity.not_after.to_datetime());
    let advice = match (now < start, expiry <= now) {
        (true, _) => "wait until it is valid, or check this machine's clock",
        (_, true) => "renew it and export it again",
        _ => return Ok((start, expiry)),
    };
    Err(ImportError::Validity { start, expiry, now, advice })
}

fn check_usage(certificate: &X509Certificate<'_>) -> Result<(), ImportError> {
    let usage = |what| ImportError::Usage { what };
    let extended = certificate.extended_key_usage().map_err(|error| malformed(&error))?;
    if !extended.is_some_and(|extended| extended.value.client_auth || extended.value.any) {
        return Err(usage("it is not for client authentication (1.3.6.1.5.5.7.3.2)"));
    }
    let key_usage = certificate.key_usage().map_err(|error| malformed(&error))?;
    if key_usage.is_some_and(|usage| !usage.value.digital_signature()) {
        return Err(usage(
            "its key usage forbids digital signatures, by which a computer proves who it is",
        ));
    }
    Ok(())
}

/// From the certificate up to where the file's certificates end.
fn chain<'a>(leaf: &'a [u8], ders: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let mut chain = vec![leaf];
    while let Some(&last) = chain.last().filter(|_| chain.len() < CHAIN_MAX) {
        let Ok((_, current)) = X509Certificate::from_der(last) else {
            break;
        };
        let is_issuer = |der: &&&[u8]| {
            let parsed = X509Certificate::from_der(der);
            parsed.is_ok_and(|(_, c)| c.subject().as_raw() == current.issuer().as_raw())
        };
        match ders.iter().filter(|der| !chain.contains(der)).find(is_issuer) {
            Some(&issuer) => chain.push(issuer),
            None => break,
        }
    }
    chain
}

/// Verifies signatures, dates and constraints up to the topmost certificate of the file. Whether the
/// site trusts that one is the site's to know.
fn check_chain(
    leaf: &X509Certificate<'_>,
    chain: &[&[u8]],
    now: OffsetDateTime,
) -> Result<Vec<String>, ImportError> {
    let self_signed = leaf.issuer().as_raw() == leaf.subject().as_raw();
    let [der, between @ .., top] = chain else {
        let what = match self_signed {
            true => {
                "the imported certificate is self-signed: management points that speak HTTPS accept it only if the site has it as a trusted root"
            }
            false => {
                "the imported file holds no certificate of the authority that issued it, so the chain could not be checked: export it with all certificates in the path"
            }
        };
        return Ok(vec![what.to_owned()]);
    };
    let problem = |error: webpki::Error| ImportError::Chain { problem: error.to_string() };
    let (der, top) = (CertificateDer::from(*der), CertificateDer::from(*top));
    let between: Vec<CertificateDer<'_>> =
        between.iter().map(|der| CertificateDer::from(*der)).collect();
    let anchors = [webpki::anchor_from_trusted_cert(&top).map_err(problem)?];
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or(0);
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    let certificate = webpki::EndEntityCert::try_from(&der).map_err(problem)?;
    let usage = webpki::KeyUsage::client_auth();
    let algorithms = webpki::ALL_VERIFICATION_ALGS;
    certificate
        .verify_for_usage(algorithms, &anchors, &between, time, usage, None, None)
        .map_err(problem)?;
    Ok(Vec::new())
}
