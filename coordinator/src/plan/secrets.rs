//! What a plan generates: identity, certificate, variables. The secret part leaves here sealed.

use std::collections::HashMap;

use prestage_configmgr::Resolution;
use prestage_media::{
    MediaId, Secret, SecretBytes,
    certificate::{self, IssuedCertificate, SelfSignedRequest},
    password,
    spec::{MEDIA_PASSWORD, MediaSpec, PKCS12_FILE, PKCS12_PASSWORD, VariableValue},
    variables::{self, Algorithm, UnknownComputers, VariablesInput},
};
use prestage_proto::v1;
use prestage_seal::KeyRing;
use rand::{TryRng, rngs::SysRng};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{PlannedCertificate, PlannedPrestart, masking::mask, problems::PlanFailure};

/// Values that the spec only names, by what the spec calls them.
pub struct GivenSecrets(HashMap<String, SecretBytes>);

impl GivenSecrets {
    /// Takes them out of a request. The request's own buffers can't be wiped: they are the network
    /// library's, which frees them when the request is dropped. So it is dropped at once.
    pub fn new(values: Vec<v1::SecretValue>) -> Self {
        let secret = |one: v1::SecretValue| (one.name, SecretBytes::new(one.value.to_vec()));
        Self(values.into_iter().map(secret).collect())
    }

    fn bytes(&self, name: &str) -> Result<&SecretBytes, PlanFailure> {
        let missing = || PlanFailure::spec(format!("the value of '{name}' was not given"));
        self.0.get(name).ok_or_else(missing)
    }

    fn text(&self, name: &str) -> Result<Secret, PlanFailure> {
        let text = std::str::from_utf8(self.bytes(name)?.expose());
        let not_text = |_| PlanFailure::spec(format!("the value of '{name}' is not UTF-8 text"));
        text.map(Secret::from).map_err(not_text)
    }
}

/// What was generated.
pub struct Generated {
    /// FILETIME of the medium.
    pub created: u64,
    /// The WIM's GUID, hex.
    pub wim_guid: String,
    /// `_SMSMediaGuid`.
    pub media_guid: String,
    /// Names of the variables.
    pub variable_names: Vec<String>,
    /// The prestart command without variables' values.
    pub prestart: Option<PlannedPrestart>,
    /// Whether there is a password.
    pub password_protected: bool,
    /// The certificate.
    pub certificate: PlannedCertificate,
    /// `Variables.dat`, sealed.
    pub sealed: String,
    /// The certificate's PKCS#12, sealed.
    pub sealed_pfx: String,
    /// What is doubtful.
    pub warnings: Vec<String>,
}

/// What a medium proves itself by, and is protected with: known before the site is asked.
pub struct Identity {
    media_id: MediaId,
    certificate: IssuedCertificate,
    password: Option<Secret>,
    variables: Vec<(String, Secret)>,
    warnings: Vec<String>,
}

/// Makes the medium's identity from the secrets that were given, or says all that is wrong with them.
pub fn identity(
    spec: &MediaSpec,
    given: &GivenSecrets,
    now: OffsetDateTime,
) -> Result<Identity, PlanFailure> {
    let mut warnings = Vec::new();
    let media_id = MediaId::from_random(random()?);
    let password = media_password(spec, given, &mut warnings);
    let certificate = media_certificate(spec, given, media_id, now, &mut warnings);
    let ((password, certificate), variables) =
        PlanFailure::both(PlanFailure::both(password, certificate), admin_variables(spec, given))?;
    Ok(Identity { media_id, certificate, password, variables, warnings })
}

/// Generates everything that the plan pins.
pub async fn generate(
    spec: &MediaSpec,
    identity: Identity,
    resolution: &Resolution,
    keys: &KeyRing,
    now: OffsetDateTime,
) -> Result<Generated, PlanFailure> {
    let Identity { media_id, certificate, password, variables, mut warnings } = identity;
    let password = password.as_ref();
    let unknown_computers = unknown_computers(spec, resolution, &mut warnings);
    let prestart = spec.customization.prestart.as_ref().map(|prestart| PlannedPrestart {
        command: mask(&prestart.command, variables.iter().map(|(_, value)| value).chain(password)),
        package: prestart.package.as_ref().map(ToString::to_string),
    });
    let input = VariablesInput {
        media_id,
        pfx: certificate.pfx.clone(),
        site_code: resolution.site_code.clone(),
        mode: spec.media.mode,
        management_points: spec.media.management_points.clone(),
        boot_image: spec.boot_image.clone(),
        boot_image_version: resolution.boot_image.version,
        unknown_computers,
        user_device_affinity: spec.security.user_device_affinity,
        trusted_root_key: None,
        root_certificate: certificate.root.clone(),
        branding_title: None,
        prestart: spec.customization.prestart.clone(),
        variables,
    };
    let variables = variables::media_variables(&input);
    // AES-256 is what current branch writes; readers go by the header.
    let file = variables::encode(&variables, Algorithm::Aes256, password)
        .map_err(|error| PlanFailure::spec(error.to_string()))?;
    // Without a password everybody knows the key.
    let file = Zeroizing::new(file);
    let media_guid = media_id.to_string();
    Ok(Generated {
        created: filetime(now),
        wim_guid: hex::encode(random::<16>()?),
        variable_names: variables.names().map(str::to_owned).collect(),
        prestart,
        password_protected: password.is_some(),
        sealed: keys.seal(&file, &variables_context(&media_guid)).await?,
        sealed_pfx: keys.seal(certificate.pfx.expose(), &pfx_context(&media_guid)).await?,
        certificate: planned_certificate(certificate),
        media_guid,
        warnings,
    })
}

/// What a sealed `Variables.dat` is bound to: it opens for no other medium.
pub fn variables_context(media_guid: &str) -> Vec<u8> {
    media_guid.as_bytes().to_vec()
}

/// What a sealed PKCS#12 is bound to: it opens as nothing else, and for no other medium.
pub fn pfx_context(media_guid: &str) -> Vec<u8> {
    format!("pfx {media_guid}").into_bytes()
}

fn media_certificate(
    spec: &MediaSpec,
    given: &GivenSecrets,
    media_id: MediaId,
    now: OffsetDateTime,
    warnings: &mut Vec<String>,
) -> Result<IssuedCertificate, PlanFailure> {
    let Some((start, expiry)) = spec.security.certificate.validity(now) else {
        let (file, password) = (given.bytes(PKCS12_FILE)?, given.text(PKCS12_PASSWORD)?);
        let imported = certificate::import(file, &password, media_id, now)?;
        warnings.extend(imported.warnings);
        return Ok(imported.certificate);
    };
    if expiry <= now {
        return Err(PlanFailure::spec(format!(
            "security.certificate.self_signed.expiry {expiry} is past: the medium could never be \
             used; give a later one"
        )));
    }
    let common_name = Some(spec.name.clone());
    let request = SelfSignedRequest { media_id, common_name, start, expiry, serial: random()? };
    Ok(certificate::self_signed(&request)?)
}

fn planned_certificate(certificate: IssuedCertificate) -> PlannedCertificate {
    PlannedCertificate {
        kind: certificate.kind,
        subject: certificate.subject,
        issuer: certificate.issuer,
        thumbprint: certificate.thumbprint,
        start: certificate.start,
        expiry: certificate.expiry,
        der: hex::encode_upper(certificate.certificate),
    }
}

fn media_password(
    spec: &MediaSpec,
    given: &GivenSecrets,
    warnings: &mut Vec<String>,
) -> Result<Option<Secret>, PlanFailure> {
    if spec.security.password.is_none() {
        warnings.push(
            "the medium has no password: whoever gets hold of it can read its variables and its \
             certificate with a well-known key, and join computers to the site with them; set \
             security.password"
                .into(),
        );
        return Ok(None);
    }
    let password = given.text(MEDIA_PASSWORD)?;
    let doubt =
        password::assess(&password).map_err(|error| PlanFailure::spec(error.to_string()))?;
    warnings.extend(doubt.map(|doubt| doubt.to_string()));
    Ok(Some(password))
}

fn unknown_computers(
    spec: &MediaSpec,
    resolution: &Resolution,
    warnings: &mut Vec<String>,
) -> Option<UnknownComputers> {
    if !spec.security.unknown_computer_support {
        return None;
    }
    let known = &resolution.unknown_computers;
    if let (Some(x64), Some(x86)) = (&known.x64, &known.x86) {
        return Some(UnknownComputers { x64: x64.clone(), x86: x86.clone() });
    }
    warnings.push(
        "security.unknown_computer_support is set, but the site's folder does not name both \
         unknown computers (SMS_UnknownSystem): the management point will be asked for them"
            .into(),
    );
    None
}

fn admin_variables(
    spec: &MediaSpec,
    given: &GivenSecrets,
) -> Result<Vec<(String, Secret)>, PlanFailure> {
    let one = |(name, value): (&String, &VariableValue)| {
        let secret = match value {
            VariableValue::Text(text) => Secret::new(text.clone()),
            VariableValue::Secret(_) => given.text(&format!("customization.variables.{name}"))?,
        };
        Ok((name.clone(), secret))
    };
    spec.customization.variables.iter().map(one).collect()
}

fn random<const N: usize>() -> Result<[u8; N], PlanFailure> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(|error| PlanFailure::internal(error.to_string()))?;
    Ok(bytes)
}

/// A point in time as a FILETIME: 100 ns steps since 1601.
pub fn filetime(time: OffsetDateTime) -> u64 {
    const SECONDS_1601_TO_1970: i64 = 11_644_473_600;
    let seconds = time.unix_timestamp().saturating_add(SECONDS_1601_TO_1970);
    u64::try_from(seconds).unwrap_or(0) * 10_000_000 + u64::from(time.nanosecond() / 100)
}
