//! `prestage register`: a finished medium's certificate is made known to a live site.

use prestage_configmgr::{
    Site,
    admin_service::{Registered, RegistrationRecord},
};
use prestage_media::{MediaId, SecretBytes, certificate, variables, volume};
use serde_json::json;

use super::inspect::read_file;
use crate::{
    args::RegisterArgs,
    error::CliError,
    medium::Medium,
    output::{Output, text},
    settings::access,
};

/// Reads the certificate out of the medium and registers it.
pub async fn register(args: &RegisterArgs, output: Output) -> Result<(), CliError> {
    let password = args.password.read()?;
    let access = access(args.access.as_deref())?;
    let service = Site::live_admin_service(&args.site, &access);
    let service = service.map_err(|error| CliError::wrong(error.to_string(), ""))?;
    let service = service.ok_or_else(|| {
        let what = format!("{} names no live AdminService", args.site.display());
        CliError::wrong(what, "set site.admin_service = \"https://PROVIDER/AdminService\"")
    })?;
    let record = record(args, password.as_ref()).await?;
    let failed = |error: prestage_configmgr::admin_service::AdminServiceError| {
        CliError::failed(error.to_string(), "")
    };
    let registered = service.register(&record).await.map_err(failed)?;
    let document = json!({
        "media_id": record.sms_id,
        "thumbprint": record.thumbprint,
        "registered": if registered == Registered::Now { "now" } else { "before" },
    });
    output.print(&document, |document| {
        let known = if text(document, "registered") == "now" {
            "is registered"
        } else {
            "was registered already"
        };
        format!(
            "the certificate {} of medium {} {known}",
            text(document, "thumbprint"),
            text(document, "media_id")
        )
    })
}

async fn record(
    args: &RegisterArgs,
    password: Option<&prestage_media::Secret>,
) -> Result<RegistrationRecord, CliError> {
    let medium = Medium::open(&args.wim).await?;
    let mut tree = medium.wim.tree(1).await?;
    let wrong = |what: String| {
        CliError::wrong(what, "is it a medium that prestage made?").at(args.wim.clone())
    };
    let file = read_file(&mut tree, &medium.wim, volume::VARIABLES).await?;
    let file = file.ok_or_else(|| wrong("it has no media variables".into()))?;
    let variables = variables::decode(&file, password).map_err(|error| {
        CliError::wrong(error.to_string(), "give the medium's own password with --password-file")
    })?;
    let value = |name: &str| {
        let missing = || wrong(format!("its variables lack {name}"));
        variables.get(name).map(|secret| secret.expose().to_owned()).ok_or_else(missing)
    };
    let media_id: MediaId =
        value("_SMSMediaGuid")?.parse().map_err(|error: uuid::Error| wrong(error.to_string()))?;
    let pfx = hex::decode(value("_SMSTSMediaPFX")?).map_err(|error| wrong(error.to_string()))?;
    let pfx = SecretBytes::new(pfx);
    let issued = certificate::open(&pfx, media_id).map_err(|error| wrong(error.to_string()))?;
    let affinity = value("SMSTSAssignUsersMode").unwrap_or_default();
    Ok(RegistrationRecord {
        sms_id: media_id.to_string(),
        certificate: issued.certificate,
        thumbprint: issued.thumbprint,
        pfx,
        uda_setting: variables::uda_setting(&affinity),
        key_type: issued.kind.key_type(),
    })
}
