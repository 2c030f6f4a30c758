//! A token service: a form is sent, something secret is answered.

use std::time::Duration;

use super::LendError;

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// How it is reached.
#[derive(Debug)]
pub(super) struct TokenService {
    /// Its address.
    pub endpoint: String,
    /// The setting that names it.
    setting: &'static str,
    http: reqwest::Client,
}

impl TokenService {
    pub fn new(endpoint: &str, setting: &'static str) -> Result<Self, LendError> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| LendError::Request(error.to_string()))?;
        Ok(Self { endpoint: endpoint.trim_end_matches('/').to_owned(), setting, http })
    }

    /// Sends a request; gives the status and the text of the answer.
    pub async fn ask(&self, asked: http::Request<String>) -> Result<(u16, String), LendError> {
        let asked = reqwest::Request::try_from(asked).map_err(|error| self.unreachable(error))?;
        let answer = self.http.execute(asked).await.map_err(|error| self.unreachable(error))?;
        let status = answer.status().as_u16();
        let text = limited(answer).await.map_err(|error| self.unreachable(error))?;
        Ok((status, text))
    }

    fn unreachable(&self, problem: reqwest::Error) -> LendError {
        let (endpoint, setting) = (self.endpoint.clone(), self.setting);
        LendError::Unreachable { endpoint, setting, problem: problem.without_url() }
    }
}

/// The body of a form.
pub(super) fn form<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

async fn limited(mut answer: reqwest::Response) -> Result<String, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        body.extend_from_slice(&piece);
        if body.len() > ANSWER_BYTES_MAX {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}
