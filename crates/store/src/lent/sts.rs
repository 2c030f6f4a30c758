//! S3: temporary keys from the store's token service, `AssumeRole` with a session policy (AWS STS, API version
//! 2011-06-15).

use std::time::Duration;

use object_store::{
    aws::{AmazonS3, AwsAuthorizer},
    client::HttpRequest,
};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    LendError, Scope, TemporaryKey,
    policy::policy,
    token_service::{TokenService, form},
};
use crate::options::StoreOptions;

const ENDPOINT: &str = "AWS_ENDPOINT_URL_STS";
/// Of AWS, unless somebody names another one.
const REGION_DEFAULT: &str = "us-east-1";

/// Lends what a role may do.
#[derive(Debug)]
pub struct RoleLender {
    /// The role that is assumed: an ARN. Its own rights and the policy both limit what is lent.
    role: String,
    service: TokenService,
    region: String,
    life: Duration,
    /// Whose credentials sign the requests.
    client: AmazonS3,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "AssumeRoleResult")]
    result: Assumed,
}

#[derive(Deserialize)]
struct Assumed {
    #[serde(rename = "Credentials")]
    credentials: Credentials,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Credentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: String,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "Error")]
    error: RefusalError,
}

#[derive(Deserialize)]
struct RefusalError {
    #[serde(rename = "Code", default)]
    code: String,
    #[serde(rename = "Message", default)]
    message: String,
}

impl RoleLender {
    /// One that lends what `role` may do, each time for `life`, with the credentials of `options`. The
    /// token service is where `AWS_ENDPOINT_URL_STS` says, else where S3 is.
    pub fn new(role: &str, life: Duration, options: &StoreOptions) -> Result<Self, LendError> {
        let region = options.value("AWS_REGION").unwrap_or(REGION_DEFAULT).to_owned();
        let named = options.value(ENDPOINT).or_else(|| options.value("AWS_ENDPOINT"));
        let of_aws = || format!("https://sts.{region}.amazonaws.com");
        let endpoint = named.map_or_else(of_aws, str::to_owned);
        let service = TokenService::new(&endpoint, ENDPOINT)?;
        // Any bucket: only its credentials are used.
        let client = options.s3("sts")?;
        Ok(Self { role: role.to_owned(), service, region, life, client })
    }

    /// Lends access to a scope, in the name of a session (2 to 64 letters, digits and `=,.@-`): a key, and
    /// until when it counts.
    pub async fn lend(
        &self,
        scope: &Scope,
        session: &str,
    ) -> Result<(TemporaryKey, OffsetDateTime), LendError> {
        let policy = policy(scope)?.to_string();
        let seconds = self.life.as_secs().to_string();
        let body = form([
            ("Action", "AssumeRole"),
            ("Version", "2011-06-15"),
            ("RoleArn", &self.role),
            ("RoleSessionName", session),
            ("DurationSeconds", &seconds),
            ("Policy", &policy),
        ]);
        let request = self.signed(body.clone()).await?;
        let (status, text) = self.service.ask(request.map(|_| body)).await?;
        self.read(status, &text)
    }

    async fn signed(&self, body: String) -> Result<HttpRequest, LendError> {
        let wrong = |error: http::Error| LendError::Request(error.to_string());
        let request = http::Request::post(format!("{}/", self.service.endpoint))
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let mut request: HttpRequest = request.body(body.into()).map_err(wrong)?;
        let credential = self.client.credentials().get_credential().await?;
        let authorizer = AwsAuthorizer::new(&credential, "sts", &self.region);
        authorizer.try_authorize(&mut request, None)?;
        Ok(request)
    }

    fn read(&self, status: u16, text: &str) -> Result<(TemporaryKey, OffsetDateTime), LendError> {
        let refused = |problem: String| LendError::Refused {
            endpoint: self.service.endpoint.clone(),
            what: format!("of the role {}", self.role),
            status,
            problem,
            advice: "the coordinator's own credentials must be allowed to assume it",
        };
        if status != 200 {
            let said = quick_xml::de::from_str::<Refusal>(text);
            let said = said.map(|said| format!("{} {}", said.error.code, said.error.message));
            return Err(refused(said.unwrap_or_else(|_| "it does not say why".into())));
        }
        // What can't be read may hold credentials: nothing of it is told.
        let strange = || refused("its answer can't be read".into());
        let answer: Answer = quick_xml::de::from_str(text).map_err(|_| strange())?;
        let lent = answer.result.credentials;
        let until = OffsetDateTime::parse(&lent.expiration, &Rfc3339).map_err(|_| strange())?;
        let key = TemporaryKey {
            id: lent.access_key_id,
            secret: lent.secret_access_key,
            token: lent.session_token,
        };
        Ok((key, until))
    }
}
