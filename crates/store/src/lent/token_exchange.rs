//! Google: the coordinator's access token, exchanged for one with a boundary (OAuth 2.0 token exchange, RFC
//! 8693, at Google's Security Token Service).

use std::time::Duration;

use object_store::gcp::GoogleCloudStorage;
use serde::Deserialize;
use time::OffsetDateTime;

use super::{
    LendError, Scope,
    boundary::boundary,
    token_service::{TokenService, form},
};
use crate::options::StoreOptions;

const ENDPOINT: &str = "GOOGLE_STS_ENDPOINT";
const ENDPOINT_DEFAULT: &str = "https://sts.googleapis.com";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// What a token that is exchanged lasts for at least: the client library gets another one five minutes before
/// its own ends, and Google does not tell when the exchanged one does, which is at the same time.
const LASTS: Duration = Duration::from_secs(300);
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// Lends what the coordinator's own token may do.
#[derive(Debug)]
pub struct TokenLender {
    service: TokenService,
    /// Whose token is exchanged.
    client: GoogleCloudStorage,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    /// Seconds, where that is told.
    expires_in: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    error: String,
    error_description: String,
}

impl TokenLender {
    /// One that exchanges the token of `options`. The token service is where `GOOGLE_STS_ENDPOINT` says,
    /// else Google's.
    pub fn new(options: &StoreOptions) -> Result<Self, LendError> {
        let endpoint = options.value(ENDPOINT).unwrap_or(ENDPOINT_DEFAULT);
        let service = TokenService::new(endpoint, ENDPOINT)?;
        // Any bucket: only its credentials are used.
        let client = options.google("sts")?;
        Ok(Self { service, client })
    }

    /// A token for a scope, and until when it counts.
    pub async fn lend(
        &self,
        scope: &Scope,
        now: OffsetDateTime,
    ) -> Result<(String, OffsetDateTime), LendError> {
        let options = boundary(scope)?.to_string();
        let own = self.client.credentials().get_credential().await?;
        // The client library makes signed claims of key files, which are no access tokens.
        if own.bearer.matches('.').count() == 2 && own.bearer.starts_with("eyJ") {
            return Err(LendError::KeyFile);
        }
        let body = form([
            ("grant_type", EXCHANGE),
            ("options", &options),
            ("requested_token_type", ACCESS_TOKEN),
            ("subject_token", &own.bearer),
            ("subject_token_type", ACCESS_TOKEN),
        ]);
        let request = http::Request::post(format!("{}/v1/token", self.service.endpoint))
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = request.body(body).map_err(|error| LendError::Request(error.to_string()))?;
        let (status, text) = self.service.ask(request).await?;
        self.read(status, &text, now)
    }

    fn read(
        &self,
        status: u16,
        text: &str,
        now: OffsetDateTime,
    ) -> Result<(String, OffsetDateTime), LendError> {
        let refused = |problem: String| LendError::Refused {
            endpoint: self.service.endpoint.clone(),
            what: "of the coordinator's token".into(),
            status,
            problem,
            advice: "the buckets must have uniform bucket-level access",
        };
        if status != 200 {
            let said: Refusal = serde_json::from_str(text).unwrap_or_default();
            return Err(refused(format!("{} {}", said.error, said.error_description)));
        }
        // What can't be read may hold a token: nothing of it is told.
        let answer = serde_json::from_str::<Answer>(text);
        let answer = answer.map_err(|_| refused("its answer can't be read".into()))?;
        Ok((answer.access_token, now + answer.expires_in.map_or(LASTS, Duration::from_secs)))
    }
}
