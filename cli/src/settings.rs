//! Settings of the services: option or environment first, then the file, then the default.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use prestage_access::{Access, Floor};
use prestage_coordinator::{
    CoordinatorSettings, Policy, RUN_BYTES, ZONE_DEFAULT, state::StatePlace,
};
use prestage_proto::v1;
use prestage_seal::KeySource;
use prestage_store::gc::GarbagePolicy;
use prestage_trust::client::{ClientTrust, CredentialFiles, IdentityFolder};
use prestage_worker::{WorkerSettings, memory::Memory};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};

use crate::{
    args::{BudgetArgs, CoordinatorArgs, ProofArgs, WorkerArgs},
    error::CliError,
};

const LISTEN_DEFAULT: &str = "127.0.0.1:7780";
const COORDINATOR_DEFAULT: &str = "http://127.0.0.1:7780";
/// Tasks that a worker does at once: one reads while another compresses.
pub const SLOTS_DEFAULT: u32 = 2;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CoordinatorFile {
    listen: Option<String>,
    advertise: Option<String>,
    data_dir: Option<PathBuf>,
    state: Option<String>,
    /// One, or several: the first one seals.
    #[serde(deserialize_with = "seal_keys")]
    seal_key: Vec<KeySource>,
    objects: Option<String>,
    lease_seconds: Option<u64>,
    keep_days: Option<u32>,
    max_gib: Option<f64>,
    metrics: Option<SocketAddr>,
    access: Option<PathBuf>,
    trust: Option<PathBuf>,
    zone: Option<String>,
    verify_percent: Option<u8>,
    worker_role: Option<String>,
    lend: bool,
    insecure: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WorkerFile {
    coordinator: Option<String>,
    name: Option<String>,
    slots: Option<u32>,
    threads: Option<usize>,
    /// Costs by distribution point.
    reach: BTreeMap<String, u32>,
    metrics: Option<SocketAddr>,
    staging_folder: Option<PathBuf>,
    staging_gib: Option<f64>,
    memory_mib: Option<u64>,
    access: Option<PathBuf>,
    identity: Option<PathBuf>,
    enrolment_token: Option<PathBuf>,
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    insecure: bool,
}

fn read_file<T: DeserializeOwned + Default>(path: Option<&Path>) -> Result<T, CliError> {
    let Some(path) = path else {
        return Ok(T::default());
    };
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| CliError::wrong(format!("{shown} can't be read: {error}"), ""))?;
    toml::from_str(&text).map_err(|error| {
        CliError::wrong(format!("{shown}: {error}"), "see 'prestage coordinator --help'")
    })
}

/// Where a coordinator listens, and how it works.
pub struct CoordinatorService {
    /// The address to listen on.
    pub listen: String,
    /// Whether it may listen beyond this machine without TLS.
    pub insecure: bool,
    /// The rest.
    pub settings: CoordinatorSettings,
}

/// The coordinator's settings.
pub fn coordinator(args: CoordinatorArgs) -> Result<CoordinatorService, CliError> {
    let file: CoordinatorFile = read_file(args.config.as_deref())?;
    let listen = args.listen.or(file.listen).unwrap_or_else(|| LISTEN_DEFAULT.into());
    serve_metrics(args.metrics.or(file.metrics))?;
    let mut policy = Policy::default();
    if let Some(seconds) = args.lease_seconds.or(file.lease_seconds) {
        policy.lease_ttl = Duration::from_secs(seconds.max(1));
        // Workers give up what they do after the same silence: nobody who returns later has anything to return to.
        policy.return_grace = policy.lease_ttl;
    }
    let data_dir = match args.data_dir.or(file.data_dir) {
        Some(folder) => folder,
        None => default_data_dir()?,
    };
    let state = shared_state(args.state.or(file.state).as_deref())?;
    let named = args.seal.seal_key;
    let seal_keys = if named.is_empty() { file.seal_key } else { named };
    let advertise = args.advertise.or(file.advertise).unwrap_or_default();
    let objects = args.objects.or(file.objects).unwrap_or_default();
    let run_bytes = run_bytes(args.run_mib);
    // Workers come and go: there may always be several.
    let shares_files = true;
    let access = access(args.access.or(file.access).as_deref())?;
    let settings = CoordinatorSettings {
        data_dir,
        state,
        seal_keys,
        advertise,
        objects,
        garbage: garbage(args.keep_days.or(file.keep_days), args.max_gib.or(file.max_gib)),
        policy,
        run_bytes,
        access,
        trust: args.trust.or(file.trust),
        zone: zone(args.zone.or(file.zone))?,
        worker_role: args.worker_role.or(file.worker_role),
        lend: args.lend || file.lend,
        verify_percent: args.verify_percent.or(file.verify_percent).unwrap_or(0).min(100),
        shares_files,
    };
    Ok(CoordinatorService { listen, insecure: args.insecure || file.insecure, settings })
}

/// Where coordinators keep their state.
pub fn shared_state(named: Option<&str>) -> Result<StatePlace, CliError> {
    let named = named.unwrap_or_default();
    let state = named.parse::<StatePlace>().map_err(|error| {
        CliError::wrong(error.to_string(), "leave it out to keep state in the data folder")
    })?;
    if state.has_password() && std::env::args().any(|argument| argument.contains(named)) {
        // Everybody on this machine sees arguments.
        return Err(CliError::wrong(
            "the password of the state's database stands on the command line",
            "put the URL into PRESTAGE_STATE, or the password into PGPASSWORD or the password file",
        ));
    }
    Ok(state)
}

fn seal_keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<KeySource>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Named {
        One(String),
        Several(Vec<String>),
    }
    let named = match Named::deserialize(deserializer)? {
        Named::One(one) => vec![one],
        Named::Several(several) => several,
    };
    named.iter().map(|one| one.parse().map_err(D::Error::custom)).collect()
}

fn serve_metrics(address: Option<SocketAddr>) -> Result<(), CliError> {
    let Some(address) = address else {
        return Ok(());
    };
    let served = prestage_telemetry::serve_metrics(address);
    served.map_err(|error| CliError::failed(error.to_string(), ""))
}

/// What is kept of packs and listings: everything, unless something is said.
fn garbage(keep_days: Option<u32>, max_gib: Option<f64>) -> Option<GarbagePolicy> {
    let policy = GarbagePolicy {
        keep: keep_days.map(|days| Duration::from_secs(86_400) * days),
        max_bytes: max_gib.map(|gib| (gib.max(0.0) * f64::from(1 << 30)).ceil() as u64),
        ..GarbagePolicy::default()
    };
    (policy != GarbagePolicy::default()).then_some(policy)
}

/// Who we are to the site's servers.
pub fn access(file: Option<&Path>) -> Result<Access, CliError> {
    let Some(file) = file else {
        return Ok(Access::anonymous());
    };
    Access::load(file).map_err(|error| CliError::wrong(error.to_string(), "see docs/site.md"))
}

/// The size above which a file is a pack of its own.
pub fn run_bytes(mib: Option<u64>) -> u64 {
    mib.map_or(RUN_BYTES, |mib| mib.max(1) << 20)
}

/// Whom a worker talks to, and how it works.
pub struct WorkerService {
    /// The coordinators' URLs.
    pub coordinators: String,
    /// Whom it trusts, and what it shows.
    pub proof: ProofArgs,
    /// Where its key and certificate are, if it renews them.
    pub identity: IdentityFolder,
    /// The file of the token for its first certificate.
    pub enrolment_token: Option<PathBuf>,
    /// The rest.
    pub settings: WorkerSettings,
}

/// The worker's settings.
pub fn worker(args: WorkerArgs) -> Result<WorkerService, CliError> {
    let file: WorkerFile = read_file(args.config.as_deref())?;
    let coordinator = args.coordinator.or(file.coordinator);
    serve_metrics(args.metrics.or(file.metrics))?;
    let threads = args.threads.or(file.threads).unwrap_or_else(cores);
    let budgets = BudgetArgs {
        memory_mib: args.budgets.memory_mib.or(file.memory_mib),
        staging_gib: args.budgets.staging_gib.or(file.staging_gib),
        ..args.budgets
    };
    let settings = WorkerSettings {
        id: new_worker_id(),
        name: args.name.or(file.name).unwrap_or_else(machine_name),
        slots: args.slots.or(file.slots).unwrap_or(SLOTS_DEFAULT).max(1),
        threads,
        reach: reach(args.reach, file.reach),
        staging: args.staging_folder.or(file.staging_folder).unwrap_or_else(std::env::temp_dir),
        staging_bytes: staging_bytes(&budgets)?,
        memory_bytes: memory_bytes(&budgets, threads),
        access: access(args.access.or(file.access).as_deref())?.with_floor(floor(&budgets)),
        rest: rest(&budgets),
        sole: false,
    };
    let proof = ProofArgs {
        ca: args.proof.ca.or(file.ca),
        certificate: args.proof.certificate.or(file.certificate),
        key: args.proof.key.or(file.key),
        insecure: args.proof.insecure || file.insecure,
    };
    let identity = match args.identity.or(file.identity) {
        Some(folder) => folder,
        None => default_data_dir()?.join("identity"),
    };
    Ok(WorkerService {
        coordinators: coordinator.unwrap_or_else(|| COORDINATOR_DEFAULT.into()),
        proof,
        identity: IdentityFolder::new(identity),
        enrolment_token: args.enrolment_token.or(file.enrolment_token),
        settings,
    })
}

/// A trust zone's name.
pub fn zone(name: Option<String>) -> Result<String, CliError> {
    let name = name.unwrap_or_else(|| ZONE_DEFAULT.into());
    prestage_trust::names::checked(&name)?;
    Ok(name)
}

/// Whom a client trusts, and what it shows.
pub fn client_trust(proof: &ProofArgs, token: Option<PathBuf>) -> Result<ClientTrust, CliError> {
    let credentials = match (&proof.certificate, &proof.key) {
        (Some(certificate), Some(key)) => {
            Some(CredentialFiles { certificate: certificate.clone(), key: key.clone() })
        }
        (None, None) => None,
        // On the command line this is told before; a file of settings may have one of them.
        _ => return Err(CliError::wrong("a certificate goes with its key", "name both, or none")),
    };
    let authorities = proof.ca.iter().cloned().collect();
    let insecure = proof.insecure;
    Ok(ClientTrust { authorities, credentials, token, insecure, ..ClientTrust::default() })
}

/// Bytes of content that a worker with so many threads holds in memory.
pub fn memory_bytes(budgets: &BudgetArgs, threads: usize) -> u64 {
    let given = budgets.memory_mib.map(|mib| mib.saturating_mul(1 << 20));
    given.unwrap_or_else(|| Memory::default_bytes(threads))
}

/// Bytes that a worker's packs may take on its disk.
pub fn staging_bytes(budgets: &BudgetArgs) -> Result<Option<u64>, CliError> {
    let Some(gib) = budgets.staging_gib else {
        return Ok(None);
    };
    if !(gib.is_finite() && gib > 0.0) {
        return Err(CliError::wrong(
            format!("staging_gib is {gib}, which leaves no room for any pack"),
            "give a number of GiB, or leave it out",
        ));
    }
    Ok(Some((gib * f64::from(1 << 30)) as u64))
}

/// The progress that distribution points must make.
pub fn floor(budgets: &BudgetArgs) -> Floor {
    let within = budgets.patience_ms.map(Duration::from_millis);
    within.map_or_else(Floor::default, |within| Floor { within, ..Floor::default() })
}

/// How long a worker rests when something is wrong with its machine.
pub fn rest(budgets: &BudgetArgs) -> Duration {
    budgets.patience_ms.map_or(WorkerSettings::REST, Duration::from_millis)
}

fn reach(given: Vec<(String, u32)>, file: BTreeMap<String, u32>) -> Vec<v1::Reach> {
    let named: Vec<(String, u32)> =
        if given.is_empty() { file.into_iter().collect() } else { given };
    let named = named.into_iter();
    named.map(|(distribution_point, cost)| v1::Reach { distribution_point, cost }).collect()
}

/// A worker id that no other process ever had.
pub fn new_worker_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// Cores of this machine that we may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

fn machine_name() -> String {
    std::fs::read_to_string("/etc/hostname")
        .ok()
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "worker".into())
}

/// `prestage` in the user's state folder (XDG base directories).
pub fn default_data_dir() -> Result<PathBuf, CliError> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let state = folder("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.or_else(|| Some(PathBuf::from(folder("HOME")?).join(".local/state")));
    let unknown =
        || CliError::wrong("there is no home folder to keep state and packs in", "give --data-dir");
    Ok(state.ok_or_else(unknown)?.join("prestage"))
}
