//! Why a request is refused.

use std::fmt;

use crate::admin_service::ExportError;
use crate::task_sequence::SequenceError;

/// Everything that is wrong with a request, at once.
#[derive(Debug, thiserror::Error)]
pub struct ResolveErrors {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ResolveErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [one] => one.fmt(f),
            several => {
                write!(f, "{} problems:", several.len())?;
                several.iter().try_for_each(|problem| write!(f, "\n- {problem}"))
            }
        }
    }
}

/// One reason to refuse a request.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The export can't be read.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The steps of a task sequence can't be read.
    #[error("task sequence {id}: {source}")]
    Sequence {
        /// The task sequence.
        id: String,
        /// Why.
        #[source]
        source: SequenceError,
    },
    /// Neither steps nor references of the task sequence are in the export.
    #[error(
        "task sequence {id}: the export says nothing of its content; save what GET AdminService/wmi/SMS_TaskSequencePackage('{id}') returns as {path}"
    )]
    NoReferences {
        /// The task sequence.
        id: String,
        /// Where the answer belongs.
        path: String,
    },
    /// The site has no such task sequence.
    #[error("task_sequence: the site has no task sequence {id:?}{}; correct the package ID or export the site again", it_has(.known))]
    UnknownTaskSequence {
        /// As requested.
        id: String,
        /// Those there are, the first few.
        known: Vec<String>,
    },
    /// The site has no such package.
    #[error("{id} ({named_by}) is not in the site's export{}; correct the package ID or export the site again", absent(.absent_files))]
    UnknownPackage {
        /// The package ID.
        id: String,
        /// Who names it: a field of the request, or a reference.
        named_by: String,
        /// Class files that the export lacks.
        absent_files: Vec<String>,
    },
    /// A package of another kind than the field asks for.
    #[error("{field}: {id} {name:?} is a {is}, not a {wanted}; name it under the right key")]
    WrongKind {
        /// The field.
        field: &'static str,
        /// The package.
        id: String,
        /// Its name.
        name: String,
        /// What it is.
        is: &'static str,
        /// What the field asks for.
        wanted: &'static str,
    },
    /// The site has no such application.
    #[error("application {id} ({named_by}) is not in the site's export{}; correct the model name or export the site again", absent(.absent_files))]
    UnknownApplication {
        /// Model name or `CI_ID …`.
        id: String,
        /// Who names it.
        named_by: String,
        /// Class files that the export lacks.
        absent_files: Vec<String>,
    },
    /// An application that has content, and no way to tell which.
    #[error("application {name:?} ({id}) has content, but the export does not say which; export SMS_DeploymentType and SMS_CIToContent{}", absent(.absent_files))]
    UnknownApplicationContent {
        /// Model name.
        id: String,
        /// Display name.
        name: String,
        /// Class files that the export lacks.
        absent_files: Vec<String>,
    },
    /// No distribution point is named.
    #[error("distribution_points: name at least one distribution point that holds the content")]
    NoDistributionPoint,
    /// The site has no such distribution point.
    #[error("distribution_points: site.toml has no distribution point {name:?}{}", it_has(.known))]
    UnknownDistributionPoint {
        /// As requested.
        name: String,
        /// Those there are, the first few.
        known: Vec<String>,
    },
    /// The distribution point's address is none.
    #[error(
        "distribution point {name}: its url {url:?} is no address like https://dp1.corp.example"
    )]
    DistributionPointAddress {
        /// The distribution point.
        name: String,
        /// Its address.
        url: String,
    },
    /// Contents that no distribution point of the request holds.
    #[error("{} content{} on none of the chosen distribution points:{}\n  Distribute the current version to one of them, or add a distribution point that holds it", .missing.len(), if .missing.len() == 1 { " is" } else { "s are" }, list(.missing))]
    MissingContent {
        /// The contents.
        missing: Vec<MissingContent>,
    },
    /// Two distribution points say different things of one content version.
    #[error(
        "{content_id}: {first} and {second} list different files under this content ID; validate the content on both and redistribute it where it is wrong"
    )]
    ListingsDisagree {
        /// The content.
        content_id: String,
        /// One distribution point.
        first: String,
        /// The other.
        second: String,
    },
    /// Strict: a package hash differs.
    #[error("{content_id}: {message}")]
    PackageHash {
        /// The content.
        content_id: String,
        /// Both values, and what to do.
        message: String,
    },
}

/// A content that no distribution point of the request holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingContent {
    /// Package ID or application model name.
    pub object_id: String,
    /// Display name.
    pub name: String,
    /// The content ID that is asked for, as far as it is known.
    pub content_id: String,
    /// What each distribution point has instead: its name, and the reason.
    pub at: Vec<(String, String)>,
}

fn list(missing: &[MissingContent]) -> String {
    let mut text = String::new();
    for content in missing {
        let MissingContent { object_id, name, content_id, at } = content;
        text.push_str(&format!("\n  {object_id} {name:?}, wanted as {content_id}"));
        for (distribution_point, reason) in at {
            text.push_str(&format!("\n    {distribution_point}: {reason}"));
        }
    }
    text
}

fn it_has(names: &[String]) -> String {
    match names {
        [] => ", and it lists none".to_owned(),
        names => format!(" (it has {})", names.join(", ")),
    }
}

fn absent(files: &[String]) -> String {
    match files {
        [] => String::new(),
        files => format!(" (which lacks {})", files.join(", ")),
    }
}
