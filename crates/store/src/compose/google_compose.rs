//! Google's `compose` request (JSON API): the server makes one object of up to 32 others.
//!
//! <https://cloud.google.com/storage/docs/json_api/v1/objects/compose>

use http::{Request, header};
use object_store::PutPayload;
use object_store::gcp::GoogleCloudStorage;
use object_store::path::Path as StorePath;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::cloud::{ID_METADATA, Output};
use super::error::ComposeError;
use super::http::{Answer, Http, Refusal, Step};
use crate::error::StoreError;

/// Google's limit for one request.
pub(super) const MAX_COMPONENTS: usize = 32;

/// Sends the requests for one output.
pub(super) struct Composition<'a> {
    pub http: &'a Http,
    pub client: &'a GoogleCloudStorage,
    pub bucket: &'a str,
    pub server: &'a str,
    pub output: &'a Output,
}

/// An object to be composed.
pub(super) struct Component {
    pub path: StorePath,
    /// The generation it must still have.
    pub generation: Option<String>,
}

/// The part of an object's description that matters here. Numbers are texts in this API.
#[derive(Debug, Deserialize)]
struct Composed {
    generation: String,
    size: String,
}

/// `{"error": {"code": 404, "message": "…", "errors": [{"reason": "notFound"}]}}`
#[derive(Debug, Deserialize)]
struct Failure {
    error: FailureText,
}

#[derive(Debug, Deserialize)]
struct FailureText {
    message: Option<String>,
    #[serde(default)]
    errors: Vec<FailureReason>,
}

#[derive(Debug, Deserialize)]
struct FailureReason {
    reason: Option<String>,
}

impl Composition<'_> {
    /// Makes a temporary object; gives its generation.
    pub async fn temporary(
        &self,
        to: &StorePath,
        from: &[Component],
    ) -> Result<String, ComposeError> {
        let composed = self.send(to, from, json!({}), None).await?;
        Ok(composed.generation)
    }

    /// Makes the output, if it has still the generation `before` (none: if it is still missing);
    /// gives its bytes.
    pub async fn finish(
        &self,
        to: &StorePath,
        from: &[Component],
        before: Option<&str>,
    ) -> Result<u64, ComposeError> {
        let metadata = json!({ "metadata": { ID_METADATA: self.output.upload.id } });
        let composed = self.send(to, from, metadata, Some(before.unwrap_or("0"))).await?;
        Ok(composed.size.parse().unwrap_or_default())
    }

    async fn send(
        &self,
        to: &StorePath,
        from: &[Component],
        mut destination: Value,
        if_generation: Option<&str>,
    ) -> Result<Composed, ComposeError> {
        let step = Step::new("compose", self.output.url());
        destination["contentType"] = "application/octet-stream".into();
        let sources: Vec<Value> = from.iter().map(Component::json).collect();
        let body = json!({ "destination": destination, "sourceObjects": sources }).to_string();
        let mut post = Request::post(self.url(to, if_generation))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, body.len());
        let credential = self.client.credentials().get_credential().await;
        let credential =
            credential.map_err(|source| self.output.failed("get credentials for", source))?;
        if !credential.bearer.is_empty() {
            post = post.header(header::AUTHORIZATION, format!("Bearer {}", credential.bearer));
        }
        let post = post.body(PutPayload::from(body));
        let post = post.map_err(|source| step.unsendable(source))?;
        self.judge(&self.http.send(&step, post).await?, &step)
    }

    fn url(&self, to: &StorePath, if_generation: Option<&str>) -> String {
        let Self { server, bucket, .. } = self;
        let to = utf8_percent_encode(to.as_ref(), NON_ALPHANUMERIC);
        let url = format!("{server}/storage/v1/b/{bucket}/o/{to}/compose");
        match if_generation {
            Some(generation) => format!("{url}?ifGenerationMatch={generation}"),
            None => url,
        }
    }

    /// Only a description of the new object is a success.
    fn judge(&self, answer: &Answer, step: &Step) -> Result<Composed, ComposeError> {
        if answer.is_success()
            && let Ok(composed) = serde_json::from_slice(&answer.body)
        {
            return Ok(composed);
        }
        let place = self.output.url();
        match answer.status {
            // A temporary object is missing: the composition was given up or finished meanwhile.
            404 => Err(self.output.gone()),
            412 => Err(StoreError::Changed { place }.into()),
            status => Err(step.refused(status, refusal(&answer.body))),
        }
    }
}

impl Component {
    fn json(&self) -> Value {
        let mut json = json!({ "name": self.path.as_ref() });
        if let Some(generation) = &self.generation {
            json["objectPreconditions"] = json!({ "ifGenerationMatch": generation });
        }
        json
    }
}

fn refusal(body: &[u8]) -> Refusal {
    let Ok(Failure { error }) = serde_json::from_slice(body) else {
        return Refusal::default();
    };
    let code = error.errors.into_iter().find_map(|error| error.reason);
    Refusal { code, message: error.message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_component_names_its_generation() {
        let path = StorePath::parse("a b/x").unwrap();
        let plain = Component { path: path.clone(), generation: None };
        assert_eq!(plain.json(), json!({ "name": "a b/x" }));
        let pinned = Component { path, generation: Some("7".to_owned()) };
        assert_eq!(pinned.json()["objectPreconditions"]["ifGenerationMatch"], "7");
    }

    #[test]
    fn a_refusal_is_read_from_googles_document() {
        let body = br#"{"error":{"code":403,"message":"no","errors":[{"reason":"forbidden"}]}}"#;
        let told = refusal(body);
        assert_eq!(told.code.as_deref(), Some("forbidden"));
        assert_eq!(told.message.as_deref(), Some("no"));
        assert_eq!(refusal(b"not json"), Refusal::default());
    }
}
