//! Temporary credentials from the store's token service: `AssumeRole` with a session policy (AWS STS, API
//! version 2011-06-15).

use std::time::Duration;

use object_store::{
    aws::{AmazonS3, AwsAuthorizer},
    client::HttpRequest,
};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Scope, scope::POLICY_CHARS_MAX};
use crate::{error::StoreError, options::StoreOptions};

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const ANSWER_BYTES_MAX: usize = 64 << 10;
const ENDPOINT: &str = "AWS_ENDPOINT_URL_STS";
/// Of AWS, unless somebody names another one.
const REGION_DEFAULT: &str = "us-east-1";

/// Lends access to buckets.
#[derive(Debug)]
pub struct Lender {
    /// The role that is assumed: an ARN. Its own rights and the policy both limit what is lent.
    role: String,
    endpoint: String,
    region: String,
    life: Duration,
    /// Whose credentials sign the requests.
    client: AmazonS3,
    http: reqwest::Client,
}

/// What is lent.
#[derive(Clone)]
pub struct LentAccess {
    /// The key's id.
    pub key_id: String,
    /// The key: a secret.
    pub secret_key: String,
    /// What goes with it: a secret.
    pub token: String,
    /// Until when it counts.
    pub until: OffsetDateTime,
}

/// Why nothing is lent. No message holds any credential.
#[derive(Debug, thiserror::Error)]
pub enum LendError {
    /// The credentials that sign.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// They can't be had.
    #[error("the credentials that workers' are lent from can't be had: {0}")]
    Own(#[from] object_store::Error),
    /// The request can't be made.
    #[error("the request for a worker's credentials can't be made: {0}")]
    Request(String),
    /// A policy can't have so many characters.
    #[error("the policy of a task has {0} characters, and {POLICY_CHARS_MAX} are the most")]
    Policy(usize),
    /// Nobody answered.
    #[error("the token service {endpoint} does not answer: {problem}; see {ENDPOINT}")]
    Unreachable {
        /// Where it should be.
        endpoint: String,
        /// What went wrong.
        problem: reqwest::Error,
    },
    /// It said no.
    #[error(
        "the token service {endpoint} lends nothing of the role {role}: {problem} (status {status}); \
         the coordinator's own credentials must be allowed to assume it"
    )]
    Refused {
        /// Where it is.
        endpoint: String,
        /// The role.
        role: String,
        /// HTTP's.
        status: u16,
        /// What it said.
        problem: String,
    },
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

impl Lender {
    /// One that lends what `role` may do, each time for `life`, with the credentials of `options`. The
    /// token service is where `AWS_ENDPOINT_URL_STS` says, else where S3 is.
    pub fn new(role: &str, life: Duration, options: &StoreOptions) -> Result<Self, LendError> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| LendError::Request(error.to_string()))?;
        let region = options.value("AWS_REGION").unwrap_or(REGION_DEFAULT).to_owned();
        let named = options.value(ENDPOINT).or_else(|| options.value("AWS_ENDPOINT"));
        let of_aws = || format!("https://sts.{region}.amazonaws.com");
        let endpoint = named.map_or_else(of_aws, str::to_owned);
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        // Any bucket: only its credentials are used.
        let client = options.s3("sts")?;
        Ok(Self { role: role.to_owned(), endpoint, region, life, client, http })
    }

    /// Lends access to a scope, in the name of a session (2 to 64 letters, digits and `=,.@-`).
    pub async fn lend(&self, scope: &Scope, session: &str) -> Result<LentAccess, LendError> {
        let policy = scope.policy().to_string();
        if policy.len() > POLICY_CHARS_MAX {
            return Err(LendError::Policy(policy.len()));
        }
        let seconds = self.life.as_secs().to_string();
        let form = [
            ("Action", "AssumeRole"),
            ("Version", "2011-06-15"),
            ("RoleArn", &self.role),
            ("RoleSessionName", session),
            ("DurationSeconds", &seconds),
            ("Policy", &policy),
        ];
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.signed(body.clone()).await?;
        let unreachable = |problem: reqwest::Error| LendError::Unreachable {
            endpoint: self.endpoint.clone(),
            problem: problem.without_url(),
        };
        let mut post = self.http.post(format!("{}/", self.endpoint)).body(body);
        for (name, value) in request.headers() {
            post = post.header(name, value);
        }
        let answer = post.send().await.map_err(unreachable)?;
        let status = answer.status().as_u16();
        let text = limited(answer).await.map_err(unreachable)?;
        self.read(status, &text)
    }

    async fn signed(&self, body: String) -> Result<HttpRequest, LendError> {
        let wrong = |error: http::Error| LendError::Request(error.to_string());
        let request = http::Request::post(format!("{}/", self.endpoint))
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let mut request: HttpRequest = request.body(body.into()).map_err(wrong)?;
        let credential = self.client.credentials().get_credential().await?;
        let authorizer = AwsAuthorizer::new(&credential, "sts", &self.region);
        authorizer.try_authorize(&mut request, None)?;
        Ok(request)
    }

    fn read(&self, status: u16, text: &str) -> Result<LentAccess, LendError> {
        let refused = |problem: String| LendError::Refused {
            endpoint: self.endpoint.clone(),
            role: self.role.clone(),
            status,
            problem,
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
        Ok(LentAccess {
            key_id: lent.access_key_id,
            secret_key: lent.secret_access_key,
            token: lent.session_token,
            until,
        })
    }
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
