//! Why something can't be sealed or opened.

use std::path::PathBuf;

/// Why something can't be sealed or opened. Nothing secret is in it.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// A setting names no key.
    #[error(
        "'{0}' names no seal key: write FILE, env:NAME or command:PROGRAM (see docs/secrets.md)"
    )]
    Setting(String),
    /// A key file can't be used.
    #[error("the seal key {path} can't be used: {problem}")]
    KeyFile {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// An environment variable holds no key.
    #[error(
        "the environment variable {name} holds no seal key: {problem}; it takes 32 random bytes in \
         base64"
    )]
    KeyVariable {
        /// Its name.
        name: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// A program that keeps a key did not do what it was asked for.
    #[error("the seal key's program failed: '{program} {verb}' {problem}")]
    KeyCommand {
        /// The program.
        program: String,
        /// What it was asked for.
        verb: &'static str,
        /// What became of it.
        problem: String,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
    /// Sealed with a key that is not in the ring.
    #[error(
        "the plan's secrets are sealed with the key {key}, which this coordinator does not have (it \
         has {ours}): build it where it was planned (same --data-dir or coordinator), let all \
         coordinators share one seal key (--seal-key), name the old key behind the new one, or plan \
         it again"
    )]
    OtherKey {
        /// The key that it takes.
        key: String,
        /// The keys that there are.
        ours: String,
    },
    /// Changed, or taken from elsewhere.
    #[error(
        "the plan's secrets do not open, though the key is the right one: the plan was changed, or \
         they are another plan's; plan it again"
    )]
    Changed,
}
