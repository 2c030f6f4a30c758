//! About the keys that secrets in plans are under.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use prestage_coordinator::seal_keys;
use prestage_seal::KeySource;

/// Which keys seal secrets in plans.
#[derive(Debug, Clone, Default, Args)]
pub struct SealKeyArgs {
    /// The key that seals secrets in plans, the same on all coordinators that share their state: a file,
    /// env:NAME or command:PROGRAM. More of them, with ';' between, only open what they have sealed
    /// before [default: seal.key in the data folder]
    #[arg(long, env = "PRESTAGE_SEAL_KEY", value_name = "FILE", value_delimiter = ';')]
    pub seal_key: Vec<KeySource>,
}

impl SealKeyArgs {
    /// The keys, or the one in a data folder.
    pub fn or_in(&self, data_dir: &Path) -> Vec<KeySource> {
        seal_keys(&self.seal_key, data_dir)
    }
}

/// About the keys of secrets.
#[derive(Debug, Subcommand)]
pub enum SealCommand {
    /// Put saved plans under the current seal key; what they seal stays as it is
    Rotate(SealRotateArgs),
    /// Say which seal keys there are, and what is under which of them
    Status(SealStatusArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  prestage seal rotate plans/*.json --seal-key '/etc/prestage/seal-2.key;/etc/prestage/seal.key'"
)]
pub struct SealRotateArgs {
    /// Saved plans
    #[arg(required = true)]
    pub plans: Vec<PathBuf>,
    #[command(flatten)]
    pub keys: KeyPlaceArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  prestage seal status plans/*.json --state postgres://prestage@db.example/prestage"
)]
pub struct SealStatusArgs {
    /// Saved plans
    pub plans: Vec<PathBuf>,
    /// Where coordinators keep their state [default: in the data folder]
    #[arg(long, env = "PRESTAGE_STATE", value_name = "URL", hide_env_values = true)]
    pub state: Option<String>,
    #[command(flatten)]
    pub keys: KeyPlaceArgs,
}

/// Where keys are.
#[derive(Debug, Clone, Args)]
pub struct KeyPlaceArgs {
    /// Where state and seal key are unless other settings say otherwise [default: prestage in the user's
    /// state folder]
    #[arg(long, env = "PRESTAGE_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub seal: SealKeyArgs,
}
