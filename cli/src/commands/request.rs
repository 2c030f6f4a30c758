//! From a spec file to a request for a plan.

use std::path::{Path, PathBuf};

use prestage_media::{
    SecretBytes,
    spec::{MEDIA_PASSWORD, MediaSpec, PKCS12_FILE},
};
use prestage_proto::v1;
use time::OffsetDateTime;

use super::new_password::NewPassword;
use crate::{args::SpecArgs, error::CliError};

/// A PKCS#12 file has a few KiB.
const CERTIFICATE_BYTES_MAX: u64 = 1 << 20;

/// A request, and what of the spec concerns this process.
pub struct Request {
    /// What the coordinator gets.
    pub plan: v1::PlanMediaRequest,
    /// `output.staging_folder`, from the spec's folder.
    pub staging_folder: Option<PathBuf>,
    /// A media password that was made for this request, to be told once it is needed.
    pub new_password: Option<NewPassword>,
}

/// Reads and checks the spec and the secrets that it names, for a plan that is `kept` or only shown.
pub fn plan_request(spec_path: &Path, with: &SpecArgs, kept: bool) -> Result<Request, CliError> {
    let checked = MediaSpec::load(spec_path, OffsetDateTime::now_utc());
    let checked = checked.map_err(|error| CliError::wrong(error.to_string(), ""))?;
    for warning in &checked.warnings {
        eprintln!("warning: {warning}");
    }
    let spec = checked.spec;
    let mut secrets = Vec::new();
    for (name, source) in spec.secrets() {
        let secret = source.read().map_err(|error| {
            CliError::wrong(error.to_string(), "").at(format!("{name} in {}", spec_path.display()))
        })?;
        let value = secret.expose().as_bytes().to_vec().into();
        secrets.push(v1::SecretValue { name, value });
    }
    if let Some(path) = spec.certificate_file() {
        let value = read_certificate(path)?.expose().to_vec().into();
        secrets.push(v1::SecretValue { name: PKCS12_FILE.to_owned(), value });
    }
    let new_password = NewPassword::wanted(&spec, with.new_password.as_deref(), kept)?;
    if let Some(new) = &new_password {
        let value = new.secret().expose().as_bytes().to_vec().into();
        secrets.push(v1::SecretValue { name: MEDIA_PASSWORD.to_owned(), value });
    }
    let staging_folder = spec.output.staging_folder.as_ref();
    let staging_folder = staging_folder.map(|folder| spec_folder(spec_path).join(folder));
    let plan = v1::PlanMediaRequest {
        spec_json: serde_json::to_vec(&spec)?.into(),
        site: site(spec_path, with.site.as_deref())?,
        secrets,
        output: output(spec_path, &spec, with.output.as_deref())?,
        codec: with.codec.clone().unwrap_or_default(),
        strict_package_hash: with.strict_package_hash,
    };
    Ok(Request { plan, staging_folder, new_password })
}

fn read_certificate(path: &Path) -> Result<SecretBytes, CliError> {
    let wrong = |problem: String| {
        CliError::wrong(
            format!("{}: {problem}", path.display()),
            "name the .pfx file of the certificate",
        )
        .at(PKCS12_FILE.to_owned())
    };
    let bytes = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if bytes > CERTIFICATE_BYTES_MAX {
        return Err(wrong(format!("it has {bytes} bytes, far more than any certificate")));
    }
    std::fs::read(path).map(SecretBytes::new).map_err(|error| wrong(error.to_string()))
}

fn site(spec_path: &Path, given: Option<&Path>) -> Result<String, CliError> {
    let folder = spec_folder(spec_path);
    let site = match given {
        Some(site) => site.to_owned(),
        None if folder.join("site.toml").is_file() => folder,
        None => {
            let what = "which site the medium is for is not said";
            return Err(CliError::wrong(what, "give --site DIR, the folder that holds site.toml"));
        }
    };
    absolute(&site)
}

/// `--output` is taken from the current folder, the spec's own output from the spec's folder.
fn output(spec_path: &Path, spec: &MediaSpec, given: Option<&str>) -> Result<String, CliError> {
    let advice = "give --output, or output.file in the spec";
    match (given, &spec.output.file) {
        (Some(output), _) => absolute_output(output, Path::new("")),
        (None, Some(output)) => absolute_output(output, &spec_folder(spec_path)),
        (None, None) => Err(CliError::wrong("where the medium goes is not said", advice)),
    }
}

/// An output as a coordinator on any machine understands it.
pub fn absolute_output(output: &str, folder: &Path) -> Result<String, CliError> {
    if output.contains("://") { Ok(output.to_owned()) } else { absolute(&folder.join(output)) }
}

fn spec_folder(spec_path: &Path) -> PathBuf {
    spec_path.parent().map_or_else(PathBuf::new, Path::to_owned)
}

fn absolute(path: &Path) -> Result<String, CliError> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let absolute = std::path::absolute(path)
        .map_err(|error| CliError::wrong(format!("{}: {error}", path.display()), ""))?;
    Ok(absolute.to_string_lossy().into_owned())
}
