//! What a plan generates: identity, certificate, variables. The secret part leaves here sealed.

use std::collections::HashMap;

use prestage_configmgr::Resolution;
use prestage_media::{
    MediaId, Secret, SecretBytes,
    certificate::{self, SelfSignedRequest},
    password,
    spec::{MediaSpec, VariableValue},
    variables::{self, Algorithm, UnknownComputers, VariablesInput},
};
use prestage_proto::v1;
use rand::{TryRng, rngs::SysRng};
use time::OffsetDateTime;

use super::{
    PlannedPrestart, masking::mask, planner::is_self_signed, problems::PlanFailure, seal::SealKey,
};

/// Values that the spec only names, by what the spec calls them.
pub struct GivenSecrets(HashMap<String, Secret>);

impl GivenSecrets {
    /// Takes them out of a request.
    pub fn new(values: Vec<v1::SecretValue>) -> Self {
        let text = |value: &[u8]| Secret::new(String::from_utf8_lossy(value).into_owned());
        Self(values.iter().map(|one| (one.name.clone(), text(&one.value))).collect())
    }

    fn get(&self, name: &str) -> Result<&Secret, PlanFailure> {
        let missing = || PlanFailure::spec(format!("the value of '{name}' was not given"));
        self.0.get(name).ok_or_else(missing)
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
    /// SHA-1 of the certificate, hex.
    pub certificate_thumbprint: String,
    /// `Variables.dat`, sealed.
    pub sealed: String,
    /// What is doubtful.
    pub warnings: Vec<String>,
}

/// Generates everything that the plan pins.
pub fn generate(
    spec: &MediaSpec,
    given: &GivenSecrets,
    resolution: &Resolution,
    seal_key: &SealKey,
    now: OffsetDateTime,
) -> Result<Generated, PlanFailure> {
    let mut warnings = Vec::new();
    let media_id = MediaId::from_random(random()?);
    let (start, expiry) = validity(spec, now)?;
    let request = SelfSignedRequest {
        media_id,
        common_name: Some(spec.name.clone()),
        start,
        expiry,
        serial: random()?,
    };
    let certificate = certificate::self_signed(&request)
        .map_err(|error| PlanFailure::Certificate(error.to_string()))?;
    let password = media_password(spec, given, &mut warnings)?;
    let thumbprint = certificate.thumbprint.clone();
    let unknown_computers = unknown_computers(spec, resolution, &mut warnings);
    let variables = admin_variables(spec, given)?;
    let prestart = spec.customization.prestart.as_ref().map(|prestart| PlannedPrestart {
        command: mask(&prestart.command, variables.iter().map(|(_, value)| value).chain(password)),
        package: prestart.package.as_ref().map(ToString::to_string),
    });
    let input = VariablesInput {
        media_id,
        pfx: SecretBytes::new(certificate.pfx.expose().to_vec()),
        site_code: resolution.site_code.clone(),
        mode: spec.media.mode,
        management_points: spec.media.management_points.clone(),
        boot_image: spec.boot_image.clone(),
        boot_image_version: resolution.boot_image.version,
        unknown_computers,
        user_device_affinity: spec.security.user_device_affinity,
        trusted_root_key: None,
        branding_title: None,
        prestart: spec.customization.prestart.clone(),
        variables,
    };
    let variables = variables::media_variables(&input);
    // AES-256 is what current branch writes; readers go by the header.
    let file = variables::encode(&variables, Algorithm::Aes256, password)
        .map_err(|error| PlanFailure::spec(error.to_string()))?;
    let media_guid = media_id.to_string();
    Ok(Generated {
        created: filetime(now),
        wim_guid: hex::encode(random::<16>()?),
        variable_names: variables.names().map(str::to_owned).collect(),
        prestart,
        password_protected: password.is_some(),
        certificate_thumbprint: thumbprint,
        sealed: seal_key.seal(&file, media_guid.as_bytes())?,
        media_guid,
        warnings,
    })
}

fn validity(
    spec: &MediaSpec,
    now: OffsetDateTime,
) -> Result<(OffsetDateTime, OffsetDateTime), PlanFailure> {
    debug_assert!(is_self_signed(spec), "others were refused with the spec");
    let none = || PlanFailure::spec("a PKCS#12 certificate is not supported yet");
    let (start, expiry) = spec.security.certificate.validity(now).ok_or_else(none)?;
    if expiry <= now {
        return Err(PlanFailure::spec(format!(
            "security.certificate.self_signed.expiry {expiry} is past: the medium could never be \
             used; give a later one"
        )));
    }
    Ok((start, expiry))
}

fn media_password<'a>(
    spec: &MediaSpec,
    given: &'a GivenSecrets,
    warnings: &mut Vec<String>,
) -> Result<Option<&'a Secret>, PlanFailure> {
    if spec.security.password.is_none() {
        warnings.push(
            "the medium has no password: whoever gets hold of it can read its variables and its \
             certificate with a well-known key; set security.password"
                .into(),
        );
        return Ok(None);
    }
    let password = given.get("security.password")?;
    let doubt = password::assess(password).map_err(|error| PlanFailure::spec(error.to_string()))?;
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
            VariableValue::Secret(_) => {
                let given = given.get(&format!("customization.variables.{name}"))?;
                Secret::new(given.expose().to_owned())
            }
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
