//! The media variables: `SMS\data\Variables.dat` and what is in it.
//!
//! | fact | how sure |
//! |---|---|
//! | header, magic, lengths, algorithm identifiers | confirmed by four readers and dumped headers |
//! | key from the password, CBC with a zero IV, PKCS#7 | confirmed, with a public test vector |
//! | the default password | confirmed by four |
//! | UTF-16LE XML with `var` and `name` | confirmed by four |
//! | the version attribute, CDATA, slack after the ciphertext | [`crate::unverified`] |
//!
//! (Reference: media variables file.)

mod cipher;
mod compose;
mod container;
mod list;
mod xml;

pub use compose::{UnknownComputers, VariablesInput, media_variables, uda_setting};
pub use container::{Algorithm, DEFAULT_PASSWORD, LARGEST_FILE_BYTES, decode, encode};
pub use list::MediaVariables;

/// The variables cannot be written or read. No message holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VariablesError {
    /// The value has a character that XML 1.0 does not have.
    #[error(
        "the value of the variable {name} has the control character U+{character:04X}, which the XML of Variables.dat cannot carry: remove it"
    )]
    Character {
        /// The variable's name.
        name: String,
        /// The code point.
        character: u32,
    },
    /// Not a file of media variables.
    #[error(
        "Variables.dat starts with {found}, not with 0000edec14000000: this is not a file of media variables, or it is damaged"
    )]
    Magic {
        /// The first 8 bytes in hexadecimal.
        found: String,
    },
    /// The file ends early.
    #[error(
        "Variables.dat has {found} bytes where its header promises {expected}: the file was cut; take it from the medium again"
    )]
    Truncated {
        /// How many bytes there are.
        found: usize,
        /// How many there should be at least.
        expected: usize,
    },
    /// Larger than any real one.
    #[error(
        "Variables.dat has {found} bytes, more than the {LARGEST_FILE_BYTES} that are read: real ones have a few dozen kilobytes, so this is another file, or it is damaged"
    )]
    TooLarge {
        /// How many bytes there are.
        found: usize,
    },
    /// The header's lengths contradict each other.
    #[error(
        "the header of Variables.dat says {plain} bytes of text in {cipher} bytes of ciphertext, which {algorithm} cannot give: the file is damaged"
    )]
    Lengths {
        /// Plaintext bytes by the header.
        plain: usize,
        /// Ciphertext bytes by the header.
        cipher: usize,
        /// Name of the algorithm.
        algorithm: &'static str,
    },
    /// A cipher that nobody has seen there.
    #[error(
        "Variables.dat is encrypted with algorithm 0x{id:04X}; known are 3DES (0x6603), AES-128 (0x660E), AES-192 (0x660F) and AES-256 (0x6610)"
    )]
    Algorithm {
        /// The CryptoAPI `ALG_ID`.
        id: u32,
    },
    /// The key does not fit.
    #[error(
        "Variables.dat does not open with {tried}: {advice}, or the file is damaged (there is no check value that tells these apart)"
    )]
    WrongPassword {
        /// What was tried.
        tried: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// It opened, but it is not the XML that it should be.
    #[error("the XML in Variables.dat cannot be read: {what}")]
    Xml {
        /// What is wrong with it, without any value.
        what: String,
    },
}
