//! Making a medium's certificate known to the site (reference: section 1.7,
//! `SMS_Site.SubmitRegistrationRecord`). Without it management points refuse the medium.

use prestage_secret::SecretBytes;
use serde_json::{Value, json};

use super::live::{AdminService, AdminServiceError};

/// `Type` of a certificate on boot media.
const BOOT_MEDIA: u32 = 1;
/// `IssuedCert`, whose default is documented as 1.
const ISSUED: u32 = 1;
const METHOD: &str = "SMS_Site.SubmitRegistrationRecord";

/// What the site is told.
#[derive(Clone)]
pub struct RegistrationRecord {
    /// The media ID, `{GUID}`.
    pub sms_id: String,
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// SHA-1 of it, upper-case hexadecimal.
    pub thumbprint: String,
    /// Certificate and key as the medium carries them.
    pub pfx: SecretBytes,
    /// User device affinity: 0, 1 or 2.
    pub uda_setting: u32,
    /// 1 for self-signed, 2 for issued by an authority.
    pub key_type: u32,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// The site knows it now.
    Now,
    /// The site knew it already.
    Before,
}

impl AdminService {
    /// Registers a medium's certificate, once: what the site has already stays as it is.
    ///
    /// # Errors
    /// [`AdminServiceError`]; a certificate that an administrator has blocked is refused.
    pub async fn register(
        &self,
        record: &RegistrationRecord,
    ) -> Result<Registered, AdminServiceError> {
        if let Some(known) = self.instance("SMS_CertificateInfo", &record.sms_id).await? {
            let row = known.get("value").and_then(|value| value.get(0)).unwrap_or(&known);
            let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
            let blocked = row.get("IsBlocked").and_then(Value::as_bool).unwrap_or(false);
            if text("Thumbprint").eq_ignore_ascii_case(&record.thumbprint) && !blocked {
                return Ok(Registered::Before);
            }
            let problem = match blocked {
                true => "an administrator has blocked this medium's certificate",
                false => "the site has another certificate under this media ID",
            };
            let what = format!("the registration of {}", record.sms_id);
            return Err(AdminServiceError::Answer { what, problem: problem.into() });
        }
        let body = json!({
            "SMSID": record.sms_id,
            "Certificate": hex::encode_upper(&record.certificate),
            "CertificatePFX": hex::encode_upper(record.pfx.expose()),
            "Type": BOOT_MEDIA,
            "ServerName": "",
            "UdaSetting": record.uda_setting,
            "IssuedCert": ISSUED,
            "KeyType": record.key_type,
        });
        let right = "create task sequence media (Site: Read and Manage OSD Certificate)";
        self.call(METHOD, &body, right).await?;
        Ok(Registered::Now)
    }
}
