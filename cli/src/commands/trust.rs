//! `prestage trust`: who may come to a coordinator, and what proves it.

use std::path::Path;

use prestage_connect::Coordinators;
use prestage_proto::v1::{self, trust_service_client::TrustServiceClient};
use prestage_trust::{
    Identity, TrustError, TrustFile,
    authority::{Authority, Credentials},
    names,
};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use tonic::{Response, Status};

use crate::{
    args::{
        RemoteArgs, TokenArgs, TrustCommand, TrustHostArgs, TrustInitArgs, TrustUserArgs,
        TrustWorkerArgs,
    },
    connect::Connection,
    error::CliError,
    output::{Output, list as elements, table, text},
};

/// Coordinators' certificates: long enough to be renewed with the yearly service.
const COORDINATOR_DAYS: i64 = 397;
const ADMIN: &str = "admin";

/// Runs one of the commands.
pub async fn trust(command: TrustCommand, output: Output) -> Result<(), CliError> {
    match command {
        TrustCommand::Init(args) => init(&args, output),
        TrustCommand::Coordinator(args) => coordinator(&args, output),
        TrustCommand::User(args) => user(&args, output),
        TrustCommand::Worker(args) => worker(&args, output),
        TrustCommand::Token(args) => token(&args, output).await,
        TrustCommand::List(args) => list(&args, output).await,
        TrustCommand::Revoke(args) => {
            let request = v1::RevokeIdentityRequest { identity: args.identity.clone() };
            ask(&args.remote, async |mut client| client.revoke_identity(request).await).await?;
            let document = json!({ "identity": args.identity, "revoked": true });
            output.print(&document, |_| format!("{} is revoked", args.identity))
        }
        TrustCommand::Restore(args) => {
            let request = v1::RestoreIdentityRequest { identity: args.identity.clone() };
            ask(&args.remote, async |mut client| client.restore_identity(request).await).await?;
            let document = json!({ "identity": args.identity, "revoked": false });
            output.print(&document, |_| format!("{} may come again", args.identity))
        }
        TrustCommand::Whoami(args) => whoami(&args, output).await,
    }
}

/// Asks a coordinator.
async fn ask<T>(
    args: &RemoteArgs,
    call: impl AsyncFnOnce(TrustServiceClient<Coordinators>) -> Result<Response<T>, Status>,
) -> Result<T, CliError> {
    let connection = Connection::open(args, false).await?;
    let answer = call(TrustServiceClient::new(connection.coordinators.clone())).await;
    connection.close().await?;
    Ok(answer?.into_inner())
}

/// A whole folder to begin with: an authority, a coordinator's certificate, an administrator's, and the
/// trust file that names them.
fn init(args: &TrustInitArgs, output: Output) -> Result<(), CliError> {
    let (dir, now) = (&args.dir, OffsetDateTime::now_utc());
    if dir.join("trust.toml").exists() {
        return Err(TrustError::Exists(dir.join("trust.toml")).into());
    }
    let name = coordinator_name(&args.host)?;
    let authority = Authority::create(dir, &args.domain, now)?;
    let coordinator = Identity::Coordinator(name.to_owned());
    let life = Duration::days(COORDINATOR_DAYS);
    authority.credentials(&coordinator, &args.host, now, life)?.write(dir, "coordinator")?;
    let admin = Identity::User(ADMIN.into());
    let life = Duration::days(args.days.into());
    authority.credentials(&admin, &[], now, life)?.write(dir, ADMIN)?;
    let file = dir.join("trust.toml");
    std::fs::write(&file, trust_file(&args.domain)).map_err(|problem| TrustError::File {
        path: file.clone(),
        how: "written",
        problem,
    })?;
    // What was written is what is read.
    TrustFile::load(&file)?;
    let document = json!({
        "trust": file.display().to_string(),
        "authority": dir.join("authority.pem").display().to_string(),
        "administrator": format!("user/{ADMIN}"),
        "hosts": args.host,
    });
    output.print(&document, |_| {
        let (dir, url) = (dir.display(), format!("https://{}:7780", args.host[0]));
        format!(
            "an authority for {domain}, certificates for {hosts} and an administrator, in {dir}\n\n\
             keep authority.key as you would keep the keys of the house; next:\n  \
             prestage coordinator --trust {dir}/trust.toml --listen 0.0.0.0:7780\n  \
             export PRESTAGE_COORDINATOR={url} PRESTAGE_CA={dir}/authority.pem\n  \
             export PRESTAGE_CERTIFICATE={dir}/admin.pem PRESTAGE_KEY={dir}/admin.key\n  \
             prestage trust whoami\n  \
             prestage trust token --save worker.token",
            domain = args.domain,
            hosts = args.host.join(", "),
        )
    })
}

fn trust_file(domain: &str) -> String {
    format!(
        "# Whom coordinators trust, and who may do what. It is read anew when it changes.\n\
         domain = \"{domain}\"\n\n\
         [server]                          # what this coordinator shows\n\
         certificate = \"coordinator.pem\"\n\
         key = \"coordinator.key\"\n\n\
         [authority]                       # who issues workers' certificates\n\
         certificate = \"authority.pem\"\n\
         key = \"authority.key\"\n\
         worker_hours = 12                 # how long one counts; it is renewed after half of that\n\n\
         # [clients]                       # the organisation's own authorities, whose certificates name users\n\
         # authorities = [\"corp-ca.pem\"]\n\n\
         # [oidc]                          # tokens name users and their groups\n\
         # issuer = \"https://login.corp.example\"\n\
         # audience = \"prestage\"\n\n\
         # Roles: read, submit, seal (hand secrets in for a plan), admin. Nobody has one that is not here.\n\
         [[grant]]\n\
         to = [\"user/{ADMIN}\"]\n\
         roles = [\"read\", \"submit\", \"seal\", \"admin\"]\n\n\
         # [[grant]]\n\
         # to = [\"group/osd-engineers\", \"subject/O=Corp, CN=Alice\"]\n\
         # roles = [\"read\", \"submit\", \"seal\"]\n"
    )
}

/// A coordinator is called as its first host that can be a name.
fn coordinator_name(hosts: &[String]) -> Result<&str, CliError> {
    let name = hosts.iter().find(|host| names::checked(host).is_ok());
    let nobody = || {
        let advice = "name one of its hosts by a DNS name or an IPv4 address";
        CliError::wrong("the coordinator has no host that can be its name", advice)
    };
    name.map(String::as_str).ok_or_else(nobody)
}

fn coordinator(args: &TrustHostArgs, output: Output) -> Result<(), CliError> {
    let name = coordinator_name(&args.host)?;
    let identity = Identity::Coordinator(name.to_owned());
    let life = Duration::days(COORDINATOR_DAYS);
    let made = issue(&args.trust, &identity, &args.host, life)?;
    made.write(&args.dir, "coordinator")?;
    said(output, &identity, &made, &args.dir, "coordinator")
}

fn user(args: &TrustUserArgs, output: Output) -> Result<(), CliError> {
    let identity = Identity::User(names::checked(&args.name)?.to_owned());
    let made = issue(&args.trust, &identity, &[], Duration::days(args.days.into()))?;
    made.write(&args.dir, &args.name)?;
    said(output, &identity, &made, &args.dir, &args.name)
}

fn worker(args: &TrustWorkerArgs, output: Output) -> Result<(), CliError> {
    let zone = crate::settings::zone(args.worker_zone.clone())?;
    let identity = Identity::Worker { zone, name: names::checked(&args.name)?.to_owned() };
    let made = issue(&args.trust, &identity, &[], Duration::days(args.days.into()))?;
    made.write(&args.dir, &args.name)?;
    said(output, &identity, &made, &args.dir, &args.name)
}

fn issue(
    trust: &Path,
    identity: &Identity,
    hosts: &[String],
    life: Duration,
) -> Result<Credentials, CliError> {
    let file = TrustFile::load(trust)?;
    let authority = file.authority()?.ok_or_else(|| {
        let what = format!("{} names no key of the authority", trust.display());
        CliError::wrong(what, "run this where authority.key is")
    })?;
    Ok(authority.credentials(identity, hosts, OffsetDateTime::now_utc(), life)?)
}

fn said(
    output: Output,
    identity: &Identity,
    made: &Credentials,
    dir: &Path,
    name: &str,
) -> Result<(), CliError> {
    let document = json!({
        "identity": identity.to_string(),
        "certificate": dir.join(format!("{name}.pem")).display().to_string(),
        "key": dir.join(format!("{name}.key")).display().to_string(),
        "expires": made.issued.not_after.unix_timestamp(),
        "serial": made.issued.serial,
    });
    output.print(&document, |document| {
        let (certificate, key) = (text(document, "certificate"), text(document, "key"));
        format!("{identity}: {certificate}, {key}, until {}", made.issued.not_after.date())
    })
}

/// A token for one worker. It is a secret: shown once, or kept in a file for its owner alone.
async fn token(args: &TokenArgs, output: Output) -> Result<(), CliError> {
    let request = v1::CreateEnrolmentRequest {
        zone: args.worker_zone.clone().unwrap_or_default(),
        name: args.name.clone().unwrap_or_default(),
        valid_seconds: args.minutes.saturating_mul(60),
    };
    let made = ask(&args.remote, async |mut client| client.create_enrolment(request).await).await?;
    let expires = made.expires.map(|time| time.seconds);
    match &args.save {
        None => {
            let document = json!({ "token": made.token, "expires": expires });
            output.print(&document, |_| made.token.clone())
        }
        Some(path) => {
            prestage_trust::write_private(path, made.token.as_bytes())?;
            let shown = path.display().to_string();
            let document = json!({ "token_file": shown, "expires": expires });
            output.print(&document, |_| {
                format!("{shown}: for one worker; now there:\n  prestage worker --enrolment-token {shown}")
            })
        }
    }
}

async fn list(args: &RemoteArgs, output: Output) -> Result<(), CliError> {
    let request = v1::ListIdentitiesRequest {};
    let answer = ask(args, async |mut client| client.list_identities(request).await).await?;
    let seconds = |time: Option<prost_types::Timestamp>| time.map(|time| time.seconds);
    let row = |one: v1::KnownIdentity| {
        json!({
            "identity": one.identity,
            "serial": one.serial,
            "issued": seconds(one.issued),
            "expires": seconds(one.expires),
            "enrolled_by": one.enrolled_by,
            "revoked": seconds(one.revoked),
            "revoked_by": one.revoked_by,
        })
    };
    let identities: Vec<Value> = answer.identities.into_iter().map(row).collect();
    output.print(&json!({ "identities": identities }), |document| {
        let mut rows = table(&["identity", "certificate until", "enrolled by", "revoked"]);
        for one in elements(document, "identities") {
            let revoked = match one["revoked"].as_i64() {
                Some(at) => format!("{} by {}", date(Some(at)), text(one, "revoked_by")),
                None => String::new(),
            };
            let (identity, by) = (text(one, "identity"), text(one, "enrolled_by"));
            rows.add_row([identity, &date(one["expires"].as_i64()), by, &revoked]);
        }
        rows.to_string()
    })
}

async fn whoami(args: &RemoteArgs, output: Output) -> Result<(), CliError> {
    let request = v1::WhoAmIRequest {};
    let answer = ask(args, async |mut client| client.who_am_i(request).await).await?;
    let until = answer.until.map(|time| time.seconds);
    let document = json!({
        "identity": answer.identity,
        "groups": answer.groups,
        "roles": answer.roles,
        "until": until,
    });
    output.print(&document, |_| {
        let roles = answer.roles.join(", ");
        let roles = if roles.is_empty() { "no role".to_owned() } else { roles };
        let until = until.map(|until| format!(", until {}", date(Some(until))));
        format!("{}: {roles}{}", answer.identity, until.unwrap_or_default())
    })
}

/// A point in time for people, UTC.
fn date(seconds: Option<i64>) -> String {
    let time = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    time.map(|time| format!("{} {:02}:{:02}Z", time.date(), time.hour(), time.minute()))
        .unwrap_or_default()
}
