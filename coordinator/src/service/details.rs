//! Failures as gRPC status with the standard details (`google.rpc`), which any client can read.
//!
//! ```text
//! ErrorInfo           reason FAILED, domain "prestage", metadata: where, advice, retry
//! BadRequest          a violation for each problem, when the request is wrong (INVALID_ARGUMENT)
//! PreconditionFailure a violation for each problem otherwise
//! ```

use std::collections::HashMap;

use prestage_proto::v1;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, ErrorInfo, StatusExt};

/// Of the first line of a failure.
const LINE_CHARACTERS_MAX: usize = 500;
/// Of a failure's text: below [`STATUS_BYTES_MAX`](super::STATUS_BYTES_MAX) in base64, with room to spare.
const WHAT_BYTES_MAX: usize = 400 << 10;
/// Whose errors they are.
const DOMAIN: &str = "prestage";
const REASON: &str = "FAILED";
const PROBLEM: &str = "PROBLEM";
const WHERE: &str = "where";
const ADVICE: &str = "advice";
const RETRY: &str = "retry";

/// A failure as gRPC status. The whole failure travels in the details; the message is its first line,
/// since both go into headers, whose size is limited ([`STATUS_BYTES_MAX`](super::STATUS_BYTES_MAX)).
pub fn status_of(failure: &v1::Failure, code: Code) -> Status {
    let line = failure.what.lines().next().unwrap_or_default();
    let line: String = line.chars().take(LINE_CHARACTERS_MAX).collect();
    let metadata = HashMap::from([
        (WHERE.to_owned(), failure.r#where.clone()),
        (ADVICE.to_owned(), failure.advice.clone()),
        (RETRY.to_owned(), failure.retry().as_str_name().to_owned()),
    ]);
    let mut details = ErrorDetails::with_error_info(REASON, DOMAIN, metadata);
    for problem in shortened(&failure.what, WHAT_BYTES_MAX).lines() {
        if code == Code::InvalidArgument {
            details.add_bad_request_violation("", problem);
        } else {
            details.add_precondition_failure_violation(PROBLEM, &failure.r#where, problem);
        }
    }
    Status::with_error_details(code, line, details)
}

/// The failure in a status, or one made of its message.
pub fn failure_of(status: &Status) -> v1::Failure {
    let plain = || v1::Failure { what: status.message().to_owned(), ..Default::default() };
    let details = status.get_error_details();
    let Some(ErrorInfo { metadata, .. }) =
        details.error_info().filter(|info| info.domain == DOMAIN)
    else {
        return plain();
    };
    let bad = details.bad_request().into_iter().flat_map(|bad| &bad.field_violations);
    let unmet = details.precondition_failure().into_iter().flat_map(|unmet| &unmet.violations);
    let problems: Vec<&str> =
        bad.map(|v| v.description.as_str()).chain(unmet.map(|v| v.description.as_str())).collect();
    let text = |name: &str| metadata.get(name).cloned().unwrap_or_default();
    v1::Failure {
        what: if problems.is_empty() { plain().what } else { problems.join("\n") },
        r#where: text(WHERE),
        advice: text(ADVICE),
        retry: v1::Retry::from_str_name(&text(RETRY)).unwrap_or_default().into(),
        ..Default::default()
    }
}

/// At most so many bytes of a text, and a word about the rest.
fn shortened(text: &str, limit: usize) -> String {
    let Some(mut end) = (text.len() > limit).then_some(limit) else {
        return text.to_owned();
    };
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}\n… and {} more bytes of the same kind", &text[..end], text.len() - end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(what: &str) -> v1::Failure {
        v1::Failure {
            what: what.into(),
            r#where: "spec.toml".into(),
            advice: "mend it".into(),
            retry: v1::Retry::Never.into(),
            ..Default::default()
        }
    }

    #[test]
    fn a_failure_comes_back_whole_with_any_code() {
        for code in [Code::InvalidArgument, Code::FailedPrecondition, Code::Unavailable] {
            let failure = failure("line 3: no\nline 9: neither");
            let status = status_of(&failure, code);
            assert_eq!((status.code(), status.message()), (code, "line 3: no"));
            assert_eq!(failure_of(&status), failure);
        }
    }

    #[test]
    fn a_thousand_problems_fit_into_headers() {
        let line = "x".repeat(2000);
        let status = status_of(&failure(&vec![line; 1000].join("\n")), Code::InvalidArgument);
        assert!(status.details().len() * 4 / 3 < super::super::STATUS_BYTES_MAX as usize);
        assert!(failure_of(&status).what.contains("more bytes of the same kind"));
    }

    #[test]
    fn a_status_of_somebody_else_is_its_message() {
        let status = Status::unavailable("no route");
        assert_eq!(failure_of(&status).what, "no route");
        // What the release before put there.
        let details = prost::Message::encode_to_vec(&failure("old")).into();
        let status = Status::with_details(Code::Internal, "old", details);
        assert_eq!(failure_of(&status).what, "old");
    }
}
