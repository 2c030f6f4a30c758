//! `prestage audit`.

use std::path::PathBuf;

use clap::Args;

use super::RemoteArgs;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    prestage audit --coordinator http://coordinator:7780\n  \
    prestage audit --export audit.jsonl --coordinator http://coordinator:7780\n  \
    prestage audit --check audit.jsonl\n\
    An export goes on where the file ends. Keep it where those who run coordinators can't write.")]
pub struct AuditArgs {
    /// Show the records after this one
    #[arg(long, default_value_t = 0, value_name = "NUMBER", conflicts_with_all = ["export", "check"])]
    pub after: u64,
    /// Add what is new to a file of JSON lines, hashes included
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    pub export: Option<PathBuf>,
    /// Check such a file, without any coordinator: was a record changed, removed or put in?
    #[arg(long, value_name = "FILE")]
    pub check: Option<PathBuf>,
    #[command(flatten)]
    pub remote: RemoteArgs,
}
