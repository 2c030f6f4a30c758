//! The command line: a contract that users' scripts rely on.

mod audit;
mod seal;
mod trust;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

pub use audit::AuditArgs;
pub use seal::{KeyPlaceArgs, SealCommand, SealKeyArgs, SealRotateArgs, SealStatusArgs};
pub use trust::{
    ProofArgs, TokenArgs, TrustCommand, TrustHostArgs, TrustInitArgs, TrustUserArgs,
    TrustWorkerArgs,
};

const EXAMPLES: &str = "\
Examples:
  prestage sample demo                              a small site to try everything on
  prestage build demo/spec.toml                     its medium, all in this process
  prestage plan demo/spec.toml                      what would be on it, and what it costs
  prestage verify demo/out/w11-sample.wim
  prestage inspect demo/out/w11-sample.wim

Exit codes: 0 done, 1 failed, 2 the request is wrong.";

/// Builds Configuration Manager prestaged media, distributed.
#[derive(Debug, Parser)]
#[command(name = "prestage", version, after_help = EXAMPLES)]
pub struct Cli {
    /// One machine-readable JSON document on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Log lines as JSON
    #[arg(long, global = true, env = "PRESTAGE_LOG_JSON")]
    pub log_json: bool,
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build a medium from a spec or a saved plan
    Build(BuildArgs),
    /// Resolve and check a spec: contents, versions, sizes, distribution points, cost
    Plan(PlanArgs),
    /// Check a medium: structure, every resource's SHA-1, integrity table, manifest
    #[command(after_help = "Example:\n  prestage verify s3://media/w11.wim")]
    Verify(MediumArgs),
    /// Show what is on a medium
    Inspect(InspectArgs),
    /// Write a small but complete sample site and spec
    #[command(after_help = "Example:\n  prestage sample demo && prestage build demo/spec.toml")]
    Sample {
        /// A folder that does not exist yet, or is empty
        dir: PathBuf,
        /// MiB of content, for measurements: 60 or more
        #[arg(long, hide = true, value_parser = clap::value_parser!(u64).range(60..=1_000_000))]
        mib: Option<u64>,
        /// What most of that is: whole (an OS image), software, packed (installers)
        #[arg(long, hide = true, requires = "mib", default_value = "whole")]
        shape: String,
        /// What all content is made from
        #[arg(long, hide = true, default_value_t = 1)]
        seed: u64,
    },
    /// Run a coordinator
    Coordinator(CoordinatorArgs),
    /// Run a worker
    Worker(WorkerArgs),
    /// Print the JSON Schema of the media spec
    Schema,
    /// List builds
    List(RemoteArgs),
    /// Show a build: its tasks, and what each waits for
    Show(BuildIdArgs),
    /// Follow a build until it ends
    Watch(BuildIdArgs),
    /// Cancel a build
    Cancel(BuildIdArgs),
    /// Print a build's log: the steps of the wizard's CreateTSMedia.log, secrets masked
    Log(LogArgs),
    /// Show who asked for what and who opened which secret, export that, or check an export
    Audit(AuditArgs),
    /// Remove packs that no build needs
    Gc(GcArgs),
    /// Check that this machine can build
    Doctor(LocalArgs),
    /// Make a finished medium's certificate known to a live site
    Register(RegisterArgs),
    /// Ask the wizard's questions at this terminal, and write the spec
    Init(InitArgs),
    /// Turn a New-CMPrestageMedia or CreateMedia.exe line into a spec
    ImportCmdlet(ImportCmdletArgs),
    /// About sites
    #[command(subcommand)]
    Site(SiteCommand),
    /// About the keys that secrets in plans are under
    #[command(subcommand)]
    Seal(SealCommand),
    /// About identities: certificates, enrolment, revocation
    #[command(subcommand)]
    Trust(TrustCommand),
}

/// About sites.
#[derive(Debug, Subcommand)]
pub enum SiteCommand {
    /// Write the offline folder of a live site: what its AdminService answers
    Export(ExportArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  prestage site export exported --site site.toml --access access.toml"
)]
pub struct ExportArgs {
    /// A folder that does not exist yet
    pub dir: PathBuf,
    /// The site.toml that names the live AdminService
    #[arg(long, env = "PRESTAGE_SITE")]
    pub site: PathBuf,
    /// Who we are to the site's servers: an access file
    #[arg(long, env = "PRESTAGE_ACCESS")]
    pub access: Option<PathBuf>,
    /// Save the steps of this task sequence only; may be given several times [default: of all]
    #[arg(long, value_name = "ID")]
    pub task_sequence: Vec<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  prestage register w11.wim --password-file pw.txt --site site.toml --access access.toml"
)]
pub struct RegisterArgs {
    /// A path or URL
    pub wim: String,
    /// The site.toml that names the live AdminService
    #[arg(long, env = "PRESTAGE_SITE")]
    pub site: PathBuf,
    /// Who we are to the site's servers: an access file
    #[arg(long, env = "PRESTAGE_ACCESS")]
    pub access: Option<PathBuf>,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  prestage init w11.toml --site site.toml --access access.toml")]
pub struct InitArgs {
    /// A file for the spec that does not exist yet
    pub spec: PathBuf,
    /// The site, whose task sequences, images and servers are then offered
    #[arg(long, env = "PRESTAGE_SITE")]
    pub site: Option<PathBuf>,
    /// Who we are to the site's servers: an access file
    #[arg(long, env = "PRESTAGE_ACCESS")]
    pub access: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  prestage import-cmdlet make-media.ps1 -o w11.toml\n  prestage import-cmdlet - < make-media.cmd"
)]
pub struct ImportCmdletArgs {
    /// The script that makes the medium; - for standard input
    pub script: PathBuf,
    /// A file for the spec [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write over the file
    #[arg(long, requires = "output")]
    pub force: bool,
}

/// Where the media password is.
#[derive(Debug, Args)]
pub struct PasswordArgs {
    /// An environment variable that holds the media password
    #[arg(long, conflicts_with = "password_file")]
    pub password_env: Option<String>,
    /// A file that holds the media password
    #[arg(long)]
    pub password_file: Option<PathBuf>,
}

/// Where an all-in-one build keeps its state.
#[derive(Debug, Clone, Args)]
pub struct LocalArgs {
    /// Where state and packs live [default: prestage in the user's state folder]
    #[arg(long, env = "PRESTAGE_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where packs live: a folder or s3://bucket/prefix [default: objects in the data folder]
    #[arg(long, env = "PRESTAGE_OBJECTS", default_value = "")]
    pub objects: String,
    /// How many workers this process runs
    #[arg(long, env = "PRESTAGE_WORKERS", default_value_t = 1)]
    pub workers: u32,
    /// The trust zone of packs: what was made in one is never used in another [default: default]
    #[arg(long, env = "PRESTAGE_ZONE")]
    pub zone: Option<String>,
    /// MiB above which a file is a pack of its own, which several workers encode together
    #[arg(long, env = "PRESTAGE_RUN_MIB", hide = true)]
    pub run_mib: Option<u64>,
    /// Who this process is to the site's servers: an access file
    #[arg(long, env = "PRESTAGE_ACCESS")]
    pub access: Option<PathBuf>,
    #[command(flatten)]
    pub seal: SealKeyArgs,
    #[command(flatten)]
    pub budgets: BudgetArgs,
}

/// What a worker may use, and how long it waits.
#[derive(Debug, Clone, Args)]
pub struct BudgetArgs {
    /// MiB of content that a worker holds in memory [default: 256, and 64 for each encoding thread]
    #[arg(long, env = "PRESTAGE_MEMORY_MIB")]
    pub memory_mib: Option<u64>,
    /// GiB that packs may take on their way to a bucket [default: what is free, but for 1 GiB]
    #[arg(long, env = "PRESTAGE_STAGING_GIB")]
    pub staging_gib: Option<f64>,
    /// Milliseconds without progress after which a source is given up, and of a worker's first rest
    #[arg(long, env = "PRESTAGE_PATIENCE_MS", hide = true)]
    pub patience_ms: Option<u64>,
}

/// Which coordinator, and where to run one if none is named.
#[derive(Debug, Clone, Args)]
pub struct RemoteArgs {
    /// A coordinator's URL, or those of several with commas between them; without it everything runs
    /// in this process
    #[arg(long, env = "PRESTAGE_COORDINATOR")]
    pub coordinator: Option<String>,
    /// A file that holds our token (OIDC), for those who have no certificate
    #[arg(long, env = "PRESTAGE_TOKEN_FILE", value_name = "FILE", help_heading = "Trust")]
    pub token_file: Option<PathBuf>,
    #[command(flatten)]
    pub proof: ProofArgs,
    #[command(flatten)]
    pub local: LocalArgs,
}

/// What a spec is planned with.
#[derive(Debug, Clone, Args)]
pub struct SpecArgs {
    /// The offline site folder or its site.toml [default: the spec's folder]
    #[arg(long, env = "PRESTAGE_SITE")]
    pub site: Option<PathBuf>,
    /// Where the medium goes: a path (from the current folder) or s3://bucket/name.wim
    #[arg(long)]
    pub output: Option<String>,
    /// Where a password that the spec lets generate goes: a new file, or - to show it once
    #[arg(long, value_name = "FILE")]
    pub new_password: Option<PathBuf>,
    /// fast, balanced or thorough, in place of the spec's
    #[arg(long)]
    pub codec: Option<String>,
    /// A package hash that does not match is an error, not a warning
    #[arg(long)]
    pub strict_package_hash: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    prestage build w11.toml --site site --output s3://media/w11.wim\n  \
    prestage build --plan w11.plan.json\n  \
    prestage build w11.toml --coordinator http://coordinator:7780")]
pub struct BuildArgs {
    /// The media spec
    #[arg(required_unless_present = "plan", conflicts_with = "plan")]
    pub spec: Option<PathBuf>,
    /// Build exactly this plan
    #[arg(long)]
    pub plan: Option<PathBuf>,
    /// Don't make the media certificate known to the site; 'prestage register' does it later
    #[arg(long)]
    pub no_register: bool,
    /// Builds of a higher priority are served first
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub priority: i32,
    /// By when it should be done, as 2026-11-30T06:00:00Z: served first when the time comes near
    #[arg(long, value_name = "TIME", value_parser = deadline)]
    pub deadline: Option<time::OffsetDateTime>,
    #[command(flatten)]
    pub with: SpecArgs,
    #[command(flatten)]
    pub remote: RemoteArgs,
}

fn reach(text: &str) -> Result<(String, u32), String> {
    let (name, cost) = text.rsplit_once('=').unwrap_or((text, "0"));
    let cost =
        cost.trim().parse().map_err(|_| format!("'{cost}' is no cost: a whole number is"))?;
    match name.trim() {
        "" => Err("it names no distribution point: write dp1.corp.example=0".to_owned()),
        name => Ok((name.to_owned(), cost)),
    }
}

fn deadline(text: &str) -> Result<time::OffsetDateTime, String> {
    let format = &time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::parse(text, format)
        .map_err(|_| "write it with its time zone, as 2026-11-30T06:00:00Z".to_owned())
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  prestage plan w11.toml --site site --save w11.plan.json")]
pub struct PlanArgs {
    /// The media spec
    pub spec: PathBuf,
    /// Pin it: every input and generated value; the same plan always gives the same bytes
    #[arg(long)]
    pub save: Option<PathBuf>,
    #[command(flatten)]
    pub with: SpecArgs,
    #[command(flatten)]
    pub remote: RemoteArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  prestage gc --keep-days 90 --dry-run\n  prestage gc --keep-days 90 --max-gib 500"
)]
pub struct GcArgs {
    /// Remove what no build has used for so many days
    #[arg(long, default_value_t = 0, value_name = "DAYS")]
    pub keep_days: u32,
    /// Remove what was used longest ago, until no more than this is there
    #[arg(long, value_name = "GIB")]
    pub max_gib: Option<f64>,
    /// Say what would go, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub remote: RemoteArgs,
}

#[derive(Debug, Args)]
pub struct MediumArgs {
    /// A path or URL
    pub wim: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  prestage inspect w11.wim --password-file pw.txt --show-values")]
pub struct InspectArgs {
    /// A path or URL
    pub wim: String,
    #[command(flatten)]
    pub password: PasswordArgs,
    /// Show the variables' values, not only their names
    #[arg(long)]
    pub show_values: bool,
}

#[derive(Debug, Args)]
pub struct BuildIdArgs {
    /// The build's id
    pub build: String,
    #[command(flatten)]
    pub remote: RemoteArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  prestage log 6f0c…\n  prestage log 6f0c… --save CreateTSMedia.log"
)]
pub struct LogArgs {
    /// A file to write it to, as Configuration Manager's log viewers read it
    #[arg(long)]
    pub save: Option<PathBuf>,
    #[command(flatten)]
    pub of: BuildIdArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Every setting of the file is also an option or an environment variable.\n\
    Example file:\n  listen = \"127.0.0.1:7780\"\n  data_dir = \"/var/lib/prestage\"\n  \
    objects = \"s3://packs\"\nOne of several:\n  listen = \"10.0.0.1:7780\"\n  \
    state = \"postgres://prestage@db.example/prestage\"\n  seal_key = \"/etc/prestage/seal.key\"\n  \
    objects = \"s3://packs\"\nWorkers without keys of their own:\n  objects = \"az://packs\"\n  \
    lend = true")]
pub struct CoordinatorArgs {
    /// A TOML file of these settings
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1:7780]
    #[arg(long, env = "PRESTAGE_LISTEN")]
    pub listen: Option<String>,
    /// The URL at which other coordinators reach this one [default: the address it listens on]
    #[arg(long, env = "PRESTAGE_ADVERTISE", value_name = "URL")]
    pub advertise: Option<String>,
    /// Where state, seal key and packs live unless other settings say otherwise
    #[arg(long, env = "PRESTAGE_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where several coordinators share their state: postgres://user@host/database. The password
    /// comes from PGPASSWORD, the password file, or the URL [default: in the data folder]
    #[arg(long, env = "PRESTAGE_STATE", value_name = "URL", hide_env_values = true)]
    pub state: Option<String>,
    #[command(flatten)]
    pub seal: SealKeyArgs,
    /// Where packs live, as workers see it too: a folder or s3://bucket/prefix
    #[arg(long, env = "PRESTAGE_OBJECTS")]
    pub objects: Option<String>,
    /// Address to serve Prometheus metrics at, under /metrics [default: none]
    #[arg(long, env = "PRESTAGE_METRICS", value_name = "ADDRESS")]
    pub metrics: Option<SocketAddr>,
    /// Every hour, remove packs and listings that no build has used for so many days [default: never]
    #[arg(long, env = "PRESTAGE_KEEP_DAYS", value_name = "DAYS")]
    pub keep_days: Option<u32>,
    /// Every hour, remove what was used longest ago, until no more than this is there [default: never]
    #[arg(long, env = "PRESTAGE_MAX_GIB", value_name = "GIB")]
    pub max_gib: Option<f64>,
    /// Seconds without a word after which a worker's tasks go to others [default: 15]
    #[arg(long, env = "PRESTAGE_LEASE_SECONDS")]
    pub lease_seconds: Option<u64>,
    /// MiB above which a file is a pack of its own, which several workers encode together
    #[arg(long, env = "PRESTAGE_RUN_MIB", hide = true)]
    pub run_mib: Option<u64>,
    /// Who the coordinator is to the site's servers: an access file
    #[arg(long, env = "PRESTAGE_ACCESS")]
    pub access: Option<PathBuf>,
    /// Whom the coordinator trusts, and what it shows: a trust file (see 'prestage trust init')
    #[arg(long, env = "PRESTAGE_TRUST", value_name = "FILE", help_heading = "Trust")]
    pub trust: Option<PathBuf>,
    /// The trust zone of packs and workers: what was made in one is never used in another
    /// [default: default]
    #[arg(long, env = "PRESTAGE_ZONE", help_heading = "Trust")]
    pub zone: Option<String>,
    /// The role (an ARN) whose rights in S3 are lent to workers, to each lease what its task needs
    /// [default: workers have access of their own]
    #[arg(long, env = "PRESTAGE_WORKER_ROLE", value_name = "ARN", help_heading = "Trust")]
    pub worker_role: Option<String>,
    /// Lend workers access to Azure (takes AZURE_STORAGE_ACCOUNT_KEY here) and Google, to each lease what its
    /// task needs [default: workers have access of their own]
    #[arg(long, env = "PRESTAGE_LEND", help_heading = "Trust")]
    pub lend: bool,
    /// How many of a hundred packs another worker makes a second time, for comparing [default: 0]
    #[arg(
        long,
        env = "PRESTAGE_VERIFY_PERCENT",
        value_name = "PERCENT",
        value_parser = clap::value_parser!(u8).range(0..=100),
        help_heading = "Trust"
    )]
    pub verify_percent: Option<u8>,
    /// Listen beyond this machine without TLS: whoever reaches it may do everything
    #[arg(long, env = "PRESTAGE_INSECURE", conflicts_with = "trust", help_heading = "Trust")]
    pub insecure: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  prestage worker --coordinator http://127.0.0.1:7780\n  prestage worker --coordinator https://c1.example:7780 --ca authority.pem --enrolment-token worker.token"
)]
pub struct WorkerArgs {
    /// A TOML file of these settings
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// The coordinator's URL, or those of several with commas between them
    /// [default: http://127.0.0.1:7780]
    #[arg(long, env = "PRESTAGE_COORDINATOR")]
    pub coordinator: Option<String>,
    /// This worker's name [default: the machine's]
    #[arg(long, env = "PRESTAGE_WORKER_NAME")]
    pub name: Option<String>,
    /// Tasks at once [default: 2]
    #[arg(long, env = "PRESTAGE_SLOTS")]
    pub slots: Option<u32>,
    /// Encoding threads [default: all cores]
    #[arg(long, env = "PRESTAGE_THREADS")]
    pub threads: Option<usize>,
    /// A distribution point that it reaches, and the cost of reading there, as dp1.corp.example=0;
    /// * stands for all others [default: all, at no cost]
    #[arg(long, env = "PRESTAGE_REACH", value_name = "NAME=COST", value_delimiter = ',', value_parser = reach)]
    pub reach: Vec<(String, u32)>,
    /// Address to serve Prometheus metrics at, under /metrics [default: none]
    #[arg(long, env = "PRESTAGE_METRICS", value_name = "ADDRESS")]
    pub metrics: Option<SocketAddr>,
    /// Where packs are written on their way to a bucket [default: the system's temporary folder]
    #[arg(long, env = "PRESTAGE_STAGING")]
    pub staging_folder: Option<PathBuf>,
    #[command(flatten)]
    pub budgets: BudgetArgs,
    /// Who the worker is to distribution points: an access file
    #[arg(long, env = "PRESTAGE_ACCESS")]
    pub access: Option<PathBuf>,
    /// A folder of its own for this worker's key and certificate, which it renews there
    /// [default: identity in the user's state folder]
    #[arg(long, env = "PRESTAGE_IDENTITY", value_name = "DIR", help_heading = "Trust")]
    pub identity: Option<PathBuf>,
    /// The file of a one-time token, by which it gets its first certificate
    #[arg(long, env = "PRESTAGE_ENROLMENT_TOKEN", value_name = "FILE", help_heading = "Trust")]
    pub enrolment_token: Option<PathBuf>,
    #[command(flatten)]
    pub proof: ProofArgs,
}
