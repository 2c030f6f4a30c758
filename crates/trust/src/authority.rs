//! The authority that names workers, users and coordinators.
//!
//! Keys are made where they are used and never travel: a worker sends a signing request, and whatever the
//! request asks for but the public key is ignored. The authority decides what the certificate says.

use std::{net::IpAddr, path::Path};

use rand::{TryRng, rngs::SysRng};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
    SerialNumber,
};
use rustls_pki_types::CertificateSigningRequestDer;
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use crate::{Identity, TrustError, files, names};

/// Clocks differ: a certificate counts from a little earlier on.
const CLOCK_SKEW: Duration = Duration::minutes(5);
/// An authority is there for years; it is replaced by trusting two for a while.
const AUTHORITY_DAYS: i64 = 3650;

/// An authority, with its key.
pub struct Authority {
    domain: String,
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, PEM: issued ones are sent with it.
    certificate_pem: String,
}

/// A certificate that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate and what it was issued by, PEM.
    pub chain_pem: String,
    /// Its serial number, hex.
    pub serial: String,
    /// From when it counts.
    pub not_before: OffsetDateTime,
    /// Until when.
    pub not_after: OffsetDateTime,
}

/// A key and a certificate for it, to be kept in files.
pub struct Credentials {
    /// The certificate.
    pub issued: Issued,
    key_pem: Zeroizing<String>,
}

impl Credentials {
    /// Writes `NAME.pem` and `NAME.key`, both for their owner alone. Nothing is overwritten.
    pub fn write(&self, folder: &Path, name: &str) -> Result<(), TrustError> {
        files::private_folder(folder)?;
        files::write(&folder.join(format!("{name}.key")), self.key_pem.as_bytes(), false)?;
        let pem = self.issued.chain_pem.as_bytes();
        files::write(&folder.join(format!("{name}.pem")), pem, false)
    }
}

/// A signing request whose signature shows that the sender has the key.
pub struct SigningRequest(CertificateSigningRequestParams);

impl SigningRequest {
    /// From its DER form.
    pub fn parse(der: &[u8]) -> Result<Self, TrustError> {
        let der = CertificateSigningRequestDer::from(der);
        Ok(Self(CertificateSigningRequestParams::from_der(&der)?))
    }

    /// What the key is recognised by: its SHA-256, hex.
    pub fn key_hash(&self) -> String {
        hex::encode(Sha256::digest(self.0.public_key.der_bytes()))
    }
}

impl Authority {
    /// Makes an authority: `authority.pem` and `authority.key` in `folder`.
    pub fn create(folder: &Path, domain: &str, now: OffsetDateTime) -> Result<Self, TrustError> {
        names::checked(domain)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("Prestage {domain}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = now - CLOCK_SKEW;
        params.not_after = now + Duration::days(AUTHORITY_DAYS);
        params.serial_number = Some(serial()?);
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        files::private_folder(folder)?;
        let key_pem = Zeroizing::new(key.serialize_pem());
        files::write(&folder.join("authority.key"), key_pem.as_bytes(), false)?;
        files::write(&folder.join("authority.pem"), pem.as_bytes(), false)?;
        Self::from_pem(domain, pem, key)
    }

    /// Reads an authority from its files.
    pub fn load(domain: &str, certificate: &Path, key: &Path) -> Result<Self, TrustError> {
        let wrong = |path: &Path, problem: &str| TrustError::Content {
            path: path.into(),
            problem: problem.to_owned(),
        };
        let pem = files::read(certificate)?;
        let pem = String::from_utf8(pem.to_vec())
            .map_err(|_| wrong(certificate, "it is no PEM file of a certificate"))?;
        let key_der = files::private_key(key)?;
        let key_pair = KeyPair::try_from(&key_der)
            .map_err(|_| wrong(key, "it holds a key of a kind that can't sign certificates"))?;
        Self::from_pem(domain, pem, key_pair)
    }

    fn from_pem(domain: &str, pem: String, key: KeyPair) -> Result<Self, TrustError> {
        let issuer = Issuer::from_ca_cert_pem(&pem, key)?;
        Ok(Self { domain: domain.to_owned(), issuer, certificate_pem: pem })
    }

    /// Signs the key of a request, for an identity and a time.
    pub fn sign(
        &self,
        request: &SigningRequest,
        identity: &Identity,
        now: OffsetDateTime,
        lifetime: Duration,
    ) -> Result<Issued, TrustError> {
        let params = self.params(identity, &[], now, lifetime)?;
        self.issue(params, &request.0.public_key)
    }

    /// Makes a key and a certificate for it. `hosts` are the names and addresses that a coordinator
    /// is reached by.
    pub fn credentials(
        &self,
        identity: &Identity,
        hosts: &[String],
        now: OffsetDateTime,
        lifetime: Duration,
    ) -> Result<Credentials, TrustError> {
        let key = KeyPair::generate()?;
        let params = self.params(identity, hosts, now, lifetime)?;
        let issued = self.issue(params, &key)?;
        Ok(Credentials { issued, key_pem: Zeroizing::new(key.serialize_pem()) })
    }

    fn issue(
        &self,
        params: CertificateParams,
        key: &impl PublicKeyData,
    ) -> Result<Issued, TrustError> {
        let certificate = params.signed_by(key, &self.issuer)?;
        let serial = params.serial_number.as_ref().map(SerialNumber::to_bytes);
        Ok(Issued {
            chain_pem: certificate.pem() + &self.certificate_pem,
            serial: hex::encode(serial.unwrap_or_default()),
            not_before: params.not_before,
            not_after: params.not_after,
        })
    }

    fn params(
        &self,
        identity: &Identity,
        hosts: &[String],
        now: OffsetDateTime,
        lifetime: Duration,
    ) -> Result<CertificateParams, TrustError> {
        let uri = names::uri(&self.domain, identity)
            .ok_or_else(|| TrustError::Nobody(format!("{identity} has no certificate of ours")))?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, identity.to_string());
        params.subject_alt_names.push(SanType::URI(uri.as_str().try_into()?));
        for host in hosts {
            params.subject_alt_names.push(host_name(host)?);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if !hosts.is_empty() {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        params.not_before = now - CLOCK_SKEW.min(lifetime.abs() / 10);
        params.not_after = now + lifetime;
        params.serial_number = Some(serial()?);
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }
}

fn host_name(host: &str) -> Result<SanType, TrustError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let wrong = || TrustError::Host(host.to_owned());
    rustls_pki_types::DnsName::try_from(host).map_err(|_| wrong())?;
    Ok(SanType::DnsName(host.try_into().map_err(|_| wrong())?))
}

fn serial() -> Result<SerialNumber, TrustError> {
    let mut bytes = [0; 16];
    let random = SysRng.try_fill_bytes(&mut bytes);
    random.map_err(|error| TrustError::Random(error.to_string()))?;
    // Positive, and as long as it is.
    bytes[0] = bytes[0] & 0x7F | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}
