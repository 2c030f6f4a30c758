//! The media certificate and its PKCS#12, judged by openssl.

use std::path::Path;
use std::process::Command;

use prestage_media::certificate::{IssuedCertificate, SelfSignedRequest, self_signed};
use prestage_media::{MediaId, Secret};
use time::macros::datetime;

type Fault = Box<dyn std::error::Error>;

fn issue() -> Result<(MediaId, IssuedCertificate), Fault> {
    let media_id = MediaId::from_random([0xA5; 16]);
    let issued = self_signed(&SelfSignedRequest {
        media_id,
        common_name: None,
        start: datetime!(2026-11-22 0:00 UTC),
        expiry: datetime!(2027-11-22 0:00 UTC),
        serial: [0xFF; 16],
    })?;
    Ok((media_id, issued))
}

/// What openssl prints. The command is needed, so its absence is a failure.
fn openssl(arguments: &[&str]) -> Result<String, Fault> {
    let output = Command::new("openssl")
        .args(arguments)
        .output()
        .map_err(|error| format!("install the package openssl: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<String, Fault> {
    let path = folder.join(name);
    std::fs::write(&path, bytes)?;
    Ok(path.display().to_string())
}

#[test]
fn the_certificate_is_what_the_spec_says() -> Result<(), Fault> {
    let (_, issued) = issue()?;
    let folder = tempfile::tempdir()?;
    let der = write(folder.path(), "media.cer", &issued.certificate)?;
    let text = openssl(&["x509", "-inform", "DER", "-in", &der, "-noout", "-text"])?;
    for part in [
        "Signature Algorithm: sha256WithRSAEncryption",
        "Public-Key: (2048 bit)",
        "Issuer: CN = Configuration Manager media",
        "Subject: CN = Configuration Manager media",
        "Not Before: Nov 22 00:00:00 2026 GMT",
        "Not After : Nov 22 00:00:00 2027 GMT",
        "7f:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff\n",
        "TLS Web Client Authentication",
        "Digital Signature, Key Encipherment",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    let fingerprint = openssl(&["x509", "-inform", "DER", "-in", &der, "-noout", "-fingerprint"])?;
    assert!(fingerprint.replace(':', "").contains(&issued.thumbprint), "{fingerprint}");
    Ok(())
}

#[test]
fn openssl_opens_the_pkcs12_with_31_characters_of_the_media_id() -> Result<(), Fault> {
    let (media_id, issued) = issue()?;
    let folder = tempfile::tempdir()?;
    let pfx = write(folder.path(), "media.pfx", issued.pfx.expose())?;
    let der = write(folder.path(), "media.cer", &issued.certificate)?;
    let password = format!("pass:{}", &media_id.to_string()[..31]);
    for legacy in [&["-legacy"][..], &[]] {
        let base = [&["pkcs12"][..], legacy, &["-in", &pfx, "-passin", &password]].concat();
        let pem = openssl(&[&base[..], &["-nodes"]].concat())?;
        let path = write(folder.path(), "all.pem", pem.as_bytes())?;
        let key = openssl(&["rsa", "-in", &path, "-modulus", "-noout"])?;
        let certificate = openssl(&["x509", "-in", &path, "-modulus", "-noout"])?;
        assert_eq!(key, certificate, "the key belongs to the certificate");
        let inside = openssl(&["x509", "-in", &path, "-fingerprint", "-noout"])?;
        let outside = openssl(&["x509", "-inform", "DER", "-in", &der, "-fingerprint", "-noout"])?;
        assert_eq!(inside, outside);
        let info = openssl(&[&base[..], &["-info", "-noout"]].concat())?;
        assert!(info.contains("MAC: sha1, Iteration 2000"), "{info}");
        assert_eq!(info.matches("pbeWithSHA1And3-KeyTripleDES-CBC").count(), 2, "{info}");
    }
    Ok(())
}

#[test]
fn another_password_does_not_open_it() -> Result<(), Fault> {
    let (media_id, issued) = issue()?;
    let folder = tempfile::tempdir()?;
    let pfx = write(folder.path(), "media.pfx", issued.pfx.expose())?;
    let whole_id = format!("pass:{media_id}");
    assert!(openssl(&["pkcs12", "-in", &pfx, "-passin", &whole_id, "-noout"]).is_err());
    assert!(media_id.pfx_password() == Secret::from(&media_id.to_string()[..31]));
    Ok(())
}
