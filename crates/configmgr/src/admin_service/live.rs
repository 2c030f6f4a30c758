//! The live AdminService: OData over HTTPS (reference: section 5.1).

use std::collections::{BTreeSet, HashSet};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use prestage_access::{Access, AccessError, Request, Server};
use serde_json::{Map, Value, json};
use url::Url;

use super::answers::AdminServiceAnswers;
use super::questions::{Question, Scope, questions, quoted};
use super::row::Record;
use super::task_sequences::{FlatReference, TaskSequencePackage};
use crate::ids::is_package_id;
use crate::task_sequence::{Sequence, StepTarget, step_content};

/// A page of rows with XML in them may have some MiB; more is no answer of AdminService.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// Rows of a class, over all pages.
const ROWS_MAX: usize = 2_000_000;

/// Pages of a class: rows alone would let pages without any lead in circles.
const PAGES_MAX: usize = 20_000;
/// Task sequences that run one another; a site has some hundred in all.
const TASK_SEQUENCES_MAX: usize = 1000;

/// A site's AdminService.
#[derive(Debug, Clone)]
pub struct AdminService {
    server: Server,
    base: Url,
}

/// Why AdminService could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AdminServiceError {
    /// The server.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The address is no address.
    #[error(
        "site.admin_service {address:?} is no address like https://provider.corp.example/AdminService"
    )]
    Address {
        /// As it stands in `site.toml`.
        address: String,
    },
    /// The account may not.
    #[error(
        "{what}: AdminService forbids it (403{said}); the account needs to be an administrative user of the site that may {right}"
    )]
    Forbidden {
        /// What was asked.
        what: String,
        /// What AdminService said.
        said: String,
        /// Which right.
        right: &'static str,
    },
    /// It answered with an error.
    #[error("{what}: AdminService answers {status}{said}; see AdminService.log on the provider")]
    Status {
        /// What was asked.
        what: String,
        /// The status.
        status: StatusCode,
        /// What AdminService said.
        said: String,
    },
    /// It answered with something else than was asked for.
    #[error("{what}: the answer is not one of AdminService's: {problem}; check site.admin_service")]
    Answer {
        /// What was asked.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl AdminService {
    /// The service at `address`, `https://provider/AdminService`.
    ///
    /// # Errors
    /// [`AdminServiceError`] when that is no address, or the access file's identity can't be had.
    pub fn new(address: &str, access: &Access) -> Result<Self, AdminServiceError> {
        let wrong = || AdminServiceError::Address { address: address.to_owned() };
        let mut base: Url = address.trim().parse().map_err(|_| wrong())?;
        if base.cannot_be_a_base() || base.host_str().is_none() {
            return Err(wrong());
        }
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&path);
        base.set_query(None);
        Ok(Self { server: access.server(&base)?, base })
    }

    /// What a build of these task sequences from these distribution points asks of the site.
    ///
    /// # Errors
    /// [`AdminServiceError`] for the first question that gets no answer.
    pub async fn answers(
        &self,
        task_sequence: &str,
        distribution_points: &[String],
    ) -> Result<AdminServiceAnswers, AdminServiceError> {
        let mut answers = AdminServiceAnswers::of_service(self.base.as_str());
        let concerned = self.task_sequences(task_sequence, &mut answers).await?;
        for question in questions() {
            let filters = match question.scope {
                Scope::All => vec![None],
                Scope::Latest => vec![Some("IsLatest eq true".to_owned())],
                Scope::OfTaskSequence(property) => concerned
                    .iter()
                    .map(|id| Some(format!("{property} eq {}", quoted(id))))
                    .collect(),
                Scope::OnDistributionPoint(property) => {
                    let of = |name: &String| Some(format!("contains({property},{})", quoted(name)));
                    distribution_points.iter().map(of).collect()
                }
            };
            let mut rows = Vec::new();
            let mut there = false;
            for filter in filters {
                let found = self.rows(&question, filter.as_deref(), true).await?;
                there |= found.is_some();
                rows.extend(found.into_iter().flatten());
            }
            if there {
                answers.add(question.class, None, json!({ "value": rows }));
            }
        }
        Ok(answers)
    }

    /// The task sequence and all that it runs, with their lazy properties.
    async fn task_sequences(
        &self,
        id: &str,
        answers: &mut AdminServiceAnswers,
    ) -> Result<BTreeSet<String>, AdminServiceError> {
        let class = TaskSequencePackage::CLASS;
        let (mut known, mut waiting) = (BTreeSet::new(), vec![id.trim().to_ascii_uppercase()]);
        while let Some(next) = waiting.pop() {
            if !is_package_id(&next) || !known.insert(next.clone()) {
                continue;
            }
            if known.len() > TASK_SEQUENCES_MAX {
                return Err(AdminServiceError::Answer {
                    what: format!("wmi/{class}"),
                    problem: format!(
                        "task sequence {id} runs more than {TASK_SEQUENCES_MAX} others"
                    ),
                });
            }
            let Some(instance) = self.instance(class, &next).await? else {
                continue;
            };
            waiting.extend(named_packages(&instance));
            waiting.extend(self.children(&next).await?);
            answers.add(class, Some(&next), instance);
        }
        Ok(known)
    }

    /// Task sequences among what a task sequence references (object type 4).
    async fn children(&self, id: &str) -> Result<Vec<String>, AdminServiceError> {
        let all = questions();
        let Some(flat) = all.iter().find(|question| question.class == FlatReference::CLASS) else {
            return Ok(Vec::new());
        };
        let filter = format!("PackageID eq {} and ObjectType eq 4", quoted(id));
        let rows = self.rows(flat, Some(&filter), true).await?.unwrap_or_default();
        let id = |row: &Value| row.get("RefPackageID").or(row.get("ObjectID")).cloned();
        let ids = rows.iter().filter_map(id);
        Ok(ids.filter_map(|id| id.as_str().map(str::to_ascii_uppercase)).collect())
    }

    /// All rows of a class, page after page; `None` if the site has no such class.
    pub(super) async fn rows(
        &self,
        question: &Question,
        filter: Option<&str>,
        select: bool,
    ) -> Result<Option<Vec<Value>>, AdminServiceError> {
        let what = format!("wmi/{}", question.class);
        let mut url = self.url(&what);
        {
            let mut query = url.query_pairs_mut();
            if let Some(filter) = filter {
                query.append_pair("$filter", filter);
            }
            if select {
                query.append_pair("$select", &question.properties.join(","));
            }
        }
        if url.query() == Some("") {
            url.set_query(None);
        }
        let mut rows = Vec::new();
        let mut next = Some(url);
        let mut pages = HashSet::new();
        while let Some(url) = next {
            let Some(page) = self.get(&what, url.clone()).await? else {
                return Ok(None);
            };
            let wrong = |problem: &str| AdminServiceError::Answer {
                what: what.clone(),
                problem: problem.to_owned(),
            };
            let Value::Object(mut page) = page else {
                return Err(wrong("it is no JSON object"));
            };
            match page.remove("value") {
                Some(Value::Array(found)) => rows.extend(found),
                _ => return Err(wrong("it has no list called value")),
            }
            if rows.len() > ROWS_MAX || pages.len() >= PAGES_MAX {
                return Err(wrong("it has no end"));
            }
            next = self.next_page(&page, &url).map_err(|problem| wrong(&problem))?;
            pages.insert(url);
            if next.as_ref().is_some_and(|next| pages.contains(next)) {
                return Err(wrong("its pages lead in circles"));
            }
        }
        Ok(Some(rows))
    }

    /// Only this server's own pages are followed: credentials go to no other.
    fn next_page(&self, page: &Map<String, Value>, from: &Url) -> Result<Option<Url>, String> {
        let Some(link) = page.get("@odata.nextLink").and_then(Value::as_str) else {
            return Ok(None);
        };
        let next = from.join(link).map_err(|error| format!("its next page {link:?}: {error}"))?;
        if next.origin() != self.base.origin() {
            return Err(format!(
                "its next page is on another server, {}",
                next.origin().ascii_serialization()
            ));
        }
        Ok(Some(next))
    }

    /// One instance with its lazy properties; `None` if there is none.
    pub(super) async fn instance(
        &self,
        class: &str,
        key: &str,
    ) -> Result<Option<Value>, AdminServiceError> {
        let what = format!("wmi/{class}({})", quoted(key));
        self.get(&what, self.url(&what)).await
    }

    /// Calls a static method of a class.
    pub(super) async fn call(
        &self,
        method: &str,
        body: &Value,
        right: &'static str,
    ) -> Result<Value, AdminServiceError> {
        let what = format!("wmi/{method}");
        let mut headers = accepting();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = Bytes::from(body.to_string());
        let request = Request { method: Method::POST, url: self.url(&what), headers, body };
        self.ask(&what, request, right).await.map(Option::unwrap_or_default)
    }

    async fn get(&self, what: &str, url: Url) -> Result<Option<Value>, AdminServiceError> {
        let request =
            Request { method: Method::GET, url, headers: accepting(), body: Bytes::new() };
        self.ask(what, request, "read it, as the role Read-only Analyst may").await
    }

    async fn ask(
        &self,
        what: &str,
        request: Request,
        right: &'static str,
    ) -> Result<Option<Value>, AdminServiceError> {
        let response = self.server.send(request).await?;
        let status = response.status();
        let wrong = |problem: String| AdminServiceError::Answer { what: what.to_owned(), problem };
        let body = response.body(ANSWER_BYTES_MAX).await?;
        let body =
            body.ok_or_else(|| wrong(format!("it has more than {ANSWER_BYTES_MAX} bytes")))?;
        let what = || what.to_owned();
        match status {
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::FORBIDDEN => {
                let said = said(&body).map_or_else(String::new, |said| format!(", {said}"));
                Err(AdminServiceError::Forbidden { what: what(), said, right })
            }
            status if !status.is_success() => {
                let said = said(&body).map_or_else(String::new, |said| format!(": {said}"));
                Err(AdminServiceError::Status { what: what(), status, said })
            }
            _ if body.is_empty() => Ok(Some(Value::Null)),
            _ => serde_json::from_slice(&body).map(Some).map_err(|error| wrong(error.to_string())),
        }
    }

    /// `wmi/<Class>` is in the path as it is: its parentheses and quotes are OData's.
    fn url(&self, what: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{what}", self.base.path().trim_end_matches('/')));
        url
    }
}

fn accepting() -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))])
}

/// The message in an OData error.
fn said(body: &[u8]) -> Option<String> {
    let json: Value = serde_json::from_slice(body).ok()?;
    let message = json.pointer("/error/message")?;
    let message = message.as_str().or_else(|| message.get("value")?.as_str())?;
    let line: String = message.chars().filter(|c| !c.is_control()).take(300).collect();
    Some(line)
}

/// Packages that the steps of a task sequence name: other task sequences are among them.
fn named_packages(instance: &Value) -> Vec<String> {
    let row = instance.get("value").and_then(|value| value.get(0)).unwrap_or(instance);
    let sequence = row.get("Sequence").and_then(Value::as_str);
    let Some(sequence) = sequence.and_then(|xml| Sequence::parse(xml).ok()) else {
        return Vec::new();
    };
    let runs = sequence.steps.iter().filter(|step| step.is_type("SubTasksequence"));
    let targets = runs.flat_map(|step| step_content(step).targets);
    targets
        .filter_map(|(target, _)| match target {
            StepTarget::Package(id) => Some(id),
            StepTarget::Application(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// Each page is empty, and names the other one as the next.
    fn answer(stream: &TcpStream) {
        let mut lines = BufReader::new(stream).lines();
        let asked = lines.next().unwrap().unwrap();
        while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
        let next = if asked.contains("page=1") { 2 } else { 1 };
        let body = format!("{{\"value\":[],\"@odata.nextLink\":\"?page={next}\"}}");
        let length = body.len();
        let mut stream = stream;
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .unwrap();
    }

    #[tokio::test]
    async fn pages_that_lead_in_circles_are_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/AdminService", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(&stream.unwrap());
            }
        });
        let service = AdminService::new(&address, &Access::anonymous()).unwrap();
        let asked = service.rows(&questions()[0], None, false).await;
        let refused = asked.unwrap_err().to_string();
        assert!(refused.contains("its pages lead in circles"), "{refused}");
    }
}
