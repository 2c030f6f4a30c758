//! The media spec: what an administrator writes instead of clicking through the wizard.
//!
//! [`MediaSpec::load`] and [`MediaSpec::parse`] read TOML, [`MediaSpec::from_json`] the same shape
//! as JSON (how a spec travels to the coordinator). All three run one parser and one set of rules,
//! and report *every* problem at once, each with its place, what is wrong and what to do. Unknown
//! keys are problems: a misspelt option must not be silently ignored.
//!
//! A spec never holds a password: it names an environment variable or a file ([`SecretSource`]).

mod identifiers;
mod management_point;
mod model;
mod node;
mod parse;
mod parse_security;
mod problem;
mod reader;
mod rules;
mod schema;
mod variable_names;

#[cfg(test)]
mod tests;

pub use identifiers::{ApplicationId, IdentifierError, PackageId};
pub use management_point::{ManagementPoint, ManagementPointError};
pub use model::{
    CodecProfile, Customization, GeneratedPassword, MEDIA_PASSWORD, MediaCertificate, MediaMode,
    MediaPassword, MediaSettings, MediaSpec, OsImage, Output, PKCS12_FILE, PKCS12_PASSWORD,
    Prestart, Security, UserDeviceAffinity, VariableValue,
};
pub use prestage_secret::SecretSource;
pub use problem::{Place, Problem, SpecError};
pub use schema::json_schema;
pub use variable_names::sounds_secret;

/// A spec that passed every rule that needs nothing but the file, and what is worth saying about
/// it.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedSpec {
    /// The spec.
    pub spec: MediaSpec,
    /// Things that are allowed but probably not meant, in the order of the file.
    pub warnings: Vec<Problem>,
}
