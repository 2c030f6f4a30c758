//! Secrets are in this process's memory: no part of that is written anywhere when it crashes.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Allows no core dump of this process, nor of what it starts, and lets no other process of its user
/// look into its memory.
pub fn forbid() -> rustix::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // Where dumps are piped into a program, the limit alone does not count.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}
