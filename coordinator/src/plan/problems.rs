//! Why a medium can't be planned, for people.

use prestage_configmgr::{ResolveErrors, SiteError};
use prestage_media::certificate::CertificateError;
use prestage_proto::v1;
use prestage_seal::SealError;
use prestage_store::StoreError;

use super::{
    collisions::Collisions, images::ImageError, listings::ListingError, output::OutputError,
};

/// Everything that is wrong with a request.
#[derive(Debug, thiserror::Error)]
pub enum PlanFailure {
    /// The spec, beyond what its file alone shows.
    #[error("the media spec: {0}")]
    Spec(String),
    /// The output.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The site can't be read.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// Content is missing, or contradicts itself.
    #[error(transparent)]
    Resolve(#[from] ResolveErrors),
    /// The images can't be used.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Images(Vec<ImageError>),
    /// Something would be written over what the OS image has.
    #[error(transparent)]
    Collisions(#[from] Collisions),
    /// An image does not suit.
    #[error("the image {image} ({architecture}) {problem}")]
    Architecture {
        /// Package ID.
        image: String,
        /// Its architecture.
        architecture: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// The object store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A listing.
    #[error(transparent)]
    Listing(#[from] ListingError),
    /// The seal.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The media certificate can't be made or taken over.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Several of these.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<PlanFailure>),
    /// A fault of Prestage.
    #[error("planning stopped: {0}")]
    Internal(String),
}

impl PlanFailure {
    /// Something in the spec.
    pub fn spec(problem: impl Into<String>) -> Self {
        Self::Spec(problem.into())
    }

    /// A fault of Prestage.
    pub fn internal(problem: impl Into<String>) -> Self {
        Self::Internal(problem.into())
    }

    /// Both results, or everything that is wrong with either.
    pub fn both<A, B>(first: Result<A, Self>, second: Result<B, Self>) -> Result<(A, B), Self> {
        match (first, second) {
            (Ok(first), Ok(second)) => Ok((first, second)),
            (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
            (Err(first), Err(second)) => Err(Self::Several(vec![first, second])),
        }
    }

    /// What is wrong with the images.
    pub fn images(os: Option<ImageError>, boot: Option<ImageError>) -> Self {
        Self::Images(os.into_iter().chain(boot).collect())
    }

    /// An image of the wrong architecture.
    pub fn architecture(image: &str, architecture: &str, problem: &str) -> Self {
        Self::Architecture {
            image: image.into(),
            architecture: architecture.into(),
            problem: problem.into(),
        }
    }
}

impl From<PlanFailure> for v1::Failure {
    fn from(failure: PlanFailure) -> Self {
        let advice = match &failure {
            PlanFailure::Images(_) => "choose another image or index, or repair the package",
            PlanFailure::Spec(_) => "correct the spec",
            PlanFailure::Internal(_) => "this is a fault of Prestage: please report it",
            // These say in their own text what to do.
            PlanFailure::Output(_)
            | PlanFailure::Site(_)
            | PlanFailure::Resolve(_)
            | PlanFailure::Collisions(_)
            | PlanFailure::Architecture { .. }
            | PlanFailure::Store(_)
            | PlanFailure::Listing(_)
            | PlanFailure::Seal(_)
            | PlanFailure::Certificate(_)
            | PlanFailure::Several(_) => "",
        };
        Self {
            what: failure.to_string(),
            r#where: String::new(),
            advice: advice.into(),
            retry: v1::Retry::Never.into(),
            ..Default::default()
        }
    }
}
