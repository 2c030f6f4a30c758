//! Which gRPC code a failure to plan or to begin has.

use prestage_media::certificate::CertificateError;
use tonic::Code;

use crate::{pipeline::PipelineError, plan::PlanFailure, registrar::RegistrationError};

pub(super) fn plan_code(failure: &PlanFailure) -> Code {
    match failure {
        PlanFailure::Spec(_) | PlanFailure::Output(_) => Code::InvalidArgument,
        PlanFailure::Site(_)
        | PlanFailure::Resolve(_)
        | PlanFailure::Images(_)
        | PlanFailure::Collisions(_)
        | PlanFailure::Architecture { .. } => Code::FailedPrecondition,
        PlanFailure::Store(_) | PlanFailure::Listing(_) => Code::Unavailable,
        PlanFailure::Certificate(CertificateError::Import(_)) => Code::InvalidArgument,
        PlanFailure::Several(failures) => failures.first().map_or(Code::Internal, plan_code),
        PlanFailure::Seal(_) | PlanFailure::Certificate(_) | PlanFailure::Internal(_) => {
            Code::Internal
        }
    }
}

/// What can't be recorded is not done, and may be later; the rest is about the plan.
pub(super) fn begin_code(error: &PipelineError) -> Code {
    match error {
        PipelineError::Audit(_) => Code::Unavailable,
        _ => Code::FailedPrecondition,
    }
}

/// The same for the registration.
pub(super) fn registration_code(error: &RegistrationError) -> Code {
    match error {
        RegistrationError::Audit(_) => Code::Unavailable,
        RegistrationError::AdminService(_)
        | RegistrationError::Seal(_)
        | RegistrationError::Plan => Code::FailedPrecondition,
    }
}
