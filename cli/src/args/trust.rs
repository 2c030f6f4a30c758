//! `prestage trust`, and how any command proves who asks.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::RemoteArgs;

/// About identities.
#[derive(Debug, Subcommand)]
pub enum TrustCommand {
    /// Make an authority, a coordinator's and an administrator's certificate, and a trust file
    Init(TrustInitArgs),
    /// Make a certificate for another coordinator
    Coordinator(TrustHostArgs),
    /// Make a user's certificate
    User(TrustUserArgs),
    /// Make a worker's certificate here, for pools whose workers can't be enrolled one by one
    Worker(TrustWorkerArgs),
    /// Make a one-time token, by which a worker gets its certificate
    Token(TokenArgs),
    /// List workers that were enrolled, and who was revoked
    List(RemoteArgs),
    /// Let an identity in no more, whatever certificates it has
    Revoke(IdentityArgs),
    /// Take a revocation back
    Restore(IdentityArgs),
    /// Say who the coordinator takes us for, and what we may do
    Whoami(RemoteArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  prestage trust init /etc/prestage/trust --domain prestage.corp.example --host c1.corp.example --host 10.0.0.1"
)]
pub struct TrustInitArgs {
    /// A folder for all of it, readable by its owner alone
    pub dir: PathBuf,
    /// What identities belong to: a name that nobody else uses
    #[arg(long)]
    pub domain: String,
    /// A DNS name or address by which the coordinator is reached; may be given several times
    #[arg(long, required = true)]
    pub host: Vec<String>,
    /// How long the administrator's certificate counts
    #[arg(long, default_value_t = 90, value_name = "DAYS")]
    pub days: u32,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  prestage trust coordinator c2 --trust trust.toml --host c2.corp.example"
)]
pub struct TrustHostArgs {
    /// A folder for certificate and key
    pub dir: PathBuf,
    /// The trust file, where the authority's key is
    #[arg(long, env = "PRESTAGE_TRUST", value_name = "FILE")]
    pub trust: PathBuf,
    /// A DNS name or address by which the coordinator is reached; may be given several times
    #[arg(long, required = true)]
    pub host: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  prestage trust user alice --trust trust.toml --dir alice\n\n\
    What the user may do is granted in the trust file:\n  [[grant]]\n  to = [\"user/alice\"]\n  \
    roles = [\"read\", \"submit\", \"seal\"]")]
pub struct TrustUserArgs {
    /// The user's name
    pub name: String,
    /// The trust file, where the authority's key is
    #[arg(long, env = "PRESTAGE_TRUST", value_name = "FILE")]
    pub trust: PathBuf,
    /// A folder for certificate and key
    #[arg(long, default_value = ".")]
    pub dir: PathBuf,
    /// How long the certificate counts
    #[arg(long, default_value_t = 90, value_name = "DAYS")]
    pub days: u32,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  prestage trust worker pool-berlin --trust trust.toml --dir pool-berlin\n\n\
    All workers that show it are one to the coordinator: none of them gives a second opinion on the others."
)]
pub struct TrustWorkerArgs {
    /// The worker's name, or that of its pool
    pub name: String,
    /// The trust file, where the authority's key is
    #[arg(long, env = "PRESTAGE_TRUST", value_name = "FILE")]
    pub trust: PathBuf,
    /// The trust zone that it is in [default: default]
    #[arg(long = "worker-zone", value_name = "ZONE")]
    pub worker_zone: Option<String>,
    /// A folder for certificate and key
    #[arg(long, default_value = ".")]
    pub dir: PathBuf,
    /// How long the certificate counts
    #[arg(long, default_value_t = 30, value_name = "DAYS")]
    pub days: u32,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  prestage trust token --save worker.token\n  prestage trust token --name berlin-1 --minutes 10 --save berlin-1.token"
)]
pub struct TokenArgs {
    /// The only name that it is for; it may replace a worker that is called so [default: any free one]
    #[arg(long)]
    pub name: Option<String>,
    /// The trust zone that the worker will be in [default: the coordinator's]
    #[arg(long = "worker-zone", value_name = "ZONE")]
    pub worker_zone: Option<String>,
    /// How long it can be used
    #[arg(long, default_value_t = 60)]
    pub minutes: u32,
    /// A new file for it, readable by its owner alone [default: it is shown]
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    #[command(flatten)]
    pub remote: RemoteArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  prestage trust revoke worker/default/berlin-1")]
pub struct IdentityArgs {
    /// user/NAME, worker/ZONE/NAME, coordinator/NAME or subject/NAME
    pub identity: String,
    #[command(flatten)]
    pub remote: RemoteArgs,
}

/// How a client proves who it is, and whom it trusts.
#[derive(Debug, Clone, Default, Args)]
pub struct ProofArgs {
    /// The authorities that coordinators' certificates may be of, PEM [default: the system's]
    #[arg(long, env = "PRESTAGE_CA", value_name = "FILE", help_heading = "Trust")]
    pub ca: Option<PathBuf>,
    /// Our certificate, PEM
    #[arg(
        long,
        env = "PRESTAGE_CERTIFICATE",
        value_name = "FILE",
        requires = "key",
        help_heading = "Trust"
    )]
    pub certificate: Option<PathBuf>,
    /// Its key, PEM
    #[arg(
        long,
        env = "PRESTAGE_KEY",
        value_name = "FILE",
        requires = "certificate",
        help_heading = "Trust"
    )]
    pub key: Option<PathBuf>,
    /// Talk to other machines without TLS: only where nobody listens
    #[arg(long, env = "PRESTAGE_INSECURE", help_heading = "Trust")]
    pub insecure: bool,
}
