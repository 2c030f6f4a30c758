//! What counts as no answer.

use std::error::Error as StdError;

use tonic::{Code, Status, body::Body, transport::Error};

/// Nobody answered: callers may ask again, and are told why, down to the cause.
pub(crate) fn no_answer(error: &Error) -> Status {
    let mut cause: &dyn StdError = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Status::unavailable(format!("no coordinator answers: {cause}"))
}

/// Whether nobody was reached, or one who can't help at the moment. Whatever else a coordinator says
/// is its answer.
pub(crate) fn did_not_answer(answer: &Result<http::Response<Body>, Error>) -> bool {
    match answer {
        Err(_) => true,
        // A status without any message comes as headers. One that tells of a failure in its details is
        // an answer: what could not be reached is then something else than a coordinator.
        Ok(response) => Status::from_header_map(response.headers()).is_some_and(|status| {
            status.code() == Code::Unavailable && status.details().is_empty()
        }),
    }
}
