//! Requests to Azure that each carry the signature of the very blob that they are for.
//!
//! The client library has one credential for a whole container. Here it signs nothing, and its requests are
//! given what was lent on their way out.

use std::time::Duration;

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use http::{StatusCode, header::CONTENT_LENGTH};
use object_store::{
    ClientOptions, Error as RequestError,
    azure::AzureAuthorizer,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
        HttpResponse, HttpService,
    },
};
use url::Url;

use super::LentCredentials;
use crate::{azure_account::AzureAccount, uploads::WatchedUploads};

/// As for other requests of the client library.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);

/// Makes clients whose requests carry what was lent.
#[derive(Debug)]
pub(crate) struct SignedRequests {
    pub lent: LentCredentials,
    pub account: AzureAccount,
    /// How they travel.
    pub requests: WatchedUploads,
}

impl HttpConnector for SignedRequests {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = self.requests.connect(options)?;
        let (lent, account) = (self.lent.clone(), self.account.clone());
        Ok(HttpClient::new(Signed { client, lent, account }))
    }
}

#[derive(Debug)]
struct Signed {
    client: HttpClient,
    lent: LentCredentials,
    account: AzureAccount,
}

#[async_trait]
impl HttpService for Signed {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let blob = self.account.blob_at(request.uri());
        let Some(credential) = self.lent.of_blob(&blob) else {
            // Azure says of what nobody may see that it is not there.
            let mut refused = HttpResponse::new(format!("nothing is lent of {blob}").into());
            *refused.status_mut() = StatusCode::FORBIDDEN;
            return Ok(refused);
        };
        let authorizer = AzureAuthorizer::new(&credential, &self.account.name);
        let signed = authorizer.try_authorize(&mut request);
        signed.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        self.client.execute(request).await
    }
}

/// Blobs that were lent, for what the client library does by requests of another kind.
#[derive(Clone, Debug)]
pub(crate) struct LentBlobs {
    pub credentials: LentCredentials,
    http: HttpClient,
}

impl LentBlobs {
    pub fn new(requests: &SignedRequests) -> object_store::Result<Self> {
        let options = ClientOptions::new().with_allow_http(true).with_timeout(ANSWER_WITHIN);
        Ok(Self { credentials: requests.lent.clone(), http: requests.connect(&options)? })
    }

    /// Removes a blob. The client library would ask the container to remove it, which is not lent.
    pub async fn delete(&self, blob: &Url) -> object_store::Result<()> {
        let delete = || self.delete_once(blob);
        let passing = |error: &RequestError| matches!(error, RequestError::Generic { .. });
        delete.retry(ExponentialBuilder::default().with_jitter()).when(passing).await
    }

    async fn delete_once(&self, blob: &Url) -> object_store::Result<()> {
        let generic = |source| RequestError::Generic { store: "Azure", source };
        let request = http::Request::delete(blob.as_str()).header(CONTENT_LENGTH, 0);
        let request = request.body(HttpRequestBody::empty());
        let request = request.map_err(|error| generic(Box::new(error)))?;
        let answer = self.http.execute(request).await.map_err(|error| generic(Box::new(error)))?;
        let (path, status) = (blob.path().to_owned(), answer.status());
        let source = format!("Azure answered {status}").into();
        match status.as_u16() {
            200..300 => Ok(()),
            404 => Err(RequestError::NotFound { path, source }),
            401 | 403 => Err(RequestError::PermissionDenied { path, source }),
            _ => Err(generic(source)),
        }
    }
}
