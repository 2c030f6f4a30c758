//! From the wizard to a media spec: a `New-CMPrestageMedia` line or a `CreateMedia.exe` line in, a spec out,
//! with the name of everything that could not be carried over (reference: section 1.7).
//!
//! | module | what it holds |
//! |---|---|
//! | [`interview`] | the wizard's questions, as data and a state |
//! | [`powershell`] | words and values of PowerShell, as far as such lines use them |
//! | `cmdlet` | the parameters of `New-CMPrestageMedia` |
//! | `create_media` | the switches of `CreateMedia.exe` |
//! | [`draft`] | a spec in the making, and its text |
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cmdlet;
mod create_media;
pub mod draft;
pub mod interview;
pub mod powershell;

pub use draft::{Draft, NotCarried};

/// Why nothing could be made of a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// No command that makes prestaged media is in it.
    #[error(
        "there is no New-CMPrestageMedia and no CreateMedia.exe /T:HD in it: give the line that makes the medium, with the lines that set its variables"
    )]
    NoCommand,
    /// Not PowerShell.
    #[error("line {line}: {problem}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A parameter that the cmdlet does not have.
    #[error("line {line}: New-CMPrestageMedia has no parameter -{name}{likely}")]
    UnknownParameter {
        /// Line, from 1.
        line: usize,
        /// As written.
        name: String,
        /// Which it could be.
        likely: String,
    },
    /// `CreateMedia.exe` for other media.
    #[error("this CreateMedia.exe line makes {kind}, not prestaged media (/T:HD)")]
    OtherMedia {
        /// What it makes.
        kind: String,
    },
}

/// Reads a text: each command in it that makes a prestaged medium gives a draft, in their order.
///
/// # Errors
/// [`ImportError`] for a text that holds no such command, or can't be read.
pub fn import(text: &str) -> Result<Vec<Draft>, ImportError> {
    let mut drafts = create_media::drafts(text)?;
    if drafts.is_empty() {
        drafts = cmdlet::drafts(text)?;
    }
    if drafts.is_empty() { Err(ImportError::NoCommand) } else { Ok(drafts) }
}
