//! Calls that are in the audit log: that they were asked for, and how they ended.

use serde::Deserialize;
use tonic::{Code, Response, Status};

use super::authorize::Caller;
use crate::audit::{Audit, DONE, Who};

/// In the extensions of a response: what was found to be the call's target.
#[derive(Clone)]
pub(super) struct Target(pub String);

/// A caller as the audit log names them.
pub(super) fn who(caller: &Caller) -> Who {
    Who { principal: caller.name(), from: caller.from.clone() }
}

/// What a spec or plan calls its medium.
pub(super) fn medium(json: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    // What is no JSON is refused in a moment; that it was asked for is recorded all the same.
    let named = serde_json::from_slice::<Named>(json);
    named.map(|named| format!("medium {}", named.name)).unwrap_or_default()
}

/// A build as a target.
pub(super) fn build(build_id: &str) -> String {
    format!("build {build_id}")
}

impl Audit {
    /// Does what was asked for once that is in the audit log, and says there how it ended. What can't
    /// be recorded is refused.
    pub(super) async fn audited<T>(
        &self,
        who: &Who,
        action: &str,
        target: &str,
        work: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<Response<T>, Status> {
        let mut deed = self.asked(who, action, target, "").await.map_err(|error| {
            Status::unavailable(format!("nothing was done, for it can't be recorded: {error}"))
        })?;
        let ended = work.await;
        let outcome = match &ended {
            Ok(response) => {
                if let Some(Target(found)) = response.extensions().get() {
                    deed = deed.on(found);
                }
                DONE.to_owned()
            }
            Err(status) => outcome(status.code()),
        };
        deed.ended(&outcome).await;
        ended
    }
}

/// `refused: NOT_FOUND`: names as gRPC has them.
pub(super) fn outcome(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    let how = match code {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented => "refused",
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => "failed",
    };
    format!("{how}: {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_named_as_grpc_names_its_codes() {
        assert_eq!(outcome(Code::PermissionDenied), "refused: PERMISSION_DENIED");
        assert_eq!(outcome(Code::Unavailable), "failed: UNAVAILABLE");
    }

    #[test]
    fn media_are_told_by_their_names() {
        assert_eq!(medium(br#"{"name":"w11","os_image":{}}"#), "medium w11");
        assert_eq!(medium(b"{"), "");
    }
}
