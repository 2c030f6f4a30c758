//! What counts as no answer.

use tonic::{Code, Status, body::Body, transport::Error};

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
