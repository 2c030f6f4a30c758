//! AdminService as it behaves (reference: section 5.1), over the folder of an export: OData with contexts
//! and null etags, lazy properties that only single instances have, pages, filters, typed errors, and
//! media certificates that are registered.

use std::{
    collections::HashMap,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use axum::{
    Router,
    extract::{RawQuery, State},
    http::{Method, StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use sha1::{Digest as _, Sha1};
use tokio::sync::oneshot;

use crate::ports::free_port;

/// Rows of a page: few, so that there are several.
const PAGE: usize = 3;

/// A running AdminService, ended when this is dropped.
pub struct AdminService {
    /// `http://localhost:12345/AdminService`.
    pub address: String,
    site: Arc<Site>,
    stop: Option<oneshot::Sender<()>>,
    running: Option<thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Site {
    wmi: PathBuf,
    address: String,
    forbidden: Mutex<Vec<String>>,
    asked: Mutex<Vec<String>>,
    certificates: Mutex<HashMap<String, Value>>,
}

impl AdminService {
    /// Serves the answers in an export's folder (`adminservice`).
    pub fn start(folder: &Path) -> Self {
        let port = free_port();
        let address = format!("http://localhost:{port}/AdminService");
        let wmi = folder.join("wmi");
        let site = Arc::new(Site { wmi, address: address.clone(), ..Site::default() });
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let router = Router::new().fallback(answer).with_state(site.clone());
        let (stop, stopped) = oneshot::channel();
        let running = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    served = axum::serve(listener, router) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self { address, site, stop: Some(stop), running: Some(running) }
    }

    /// From now on the account may not read this class.
    pub fn forbid(&self, class: &str) {
        lock(&self.site.forbidden).push(class.to_owned());
    }

    /// The media certificates that were registered, by media ID.
    pub fn certificates(&self) -> HashMap<String, Value> {
        lock(&self.site.certificates).clone()
    }

    /// What was asked for so far, with its query.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.site.asked).clone()
    }
}

impl Drop for AdminService {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(running) = self.running.take() {
            let _ = running.join();
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(
    State(site): State<Arc<Site>>,
    method: Method,
    uri: Uri,
    RawQuery(query): RawQuery,
    body: String,
) -> Response {
    let path = percent_decode_str(uri.path()).decode_utf8().unwrap().into_owned();
    lock(&site.asked).push(format!("{method} {path}?{}", query.clone().unwrap_or_default()));
    let Some(what) = path.strip_prefix("/AdminService/wmi/") else {
        return error(StatusCode::NOT_FOUND, "No HTTP resource was found");
    };
    let class = what.split(['(', '.']).next().unwrap();
    if lock(&site.forbidden).iter().any(|forbidden| forbidden == class) {
        return error(StatusCode::FORBIDDEN, "User does not have permission");
    }
    if method == Method::POST {
        return register(&site, what, &body);
    }
    match what.split_once('(') {
        Some((class, key)) => site.instance(class, key.trim_end_matches(')').trim_matches('\'')),
        None => site.page(
            class,
            &url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
                .into_owned()
                .collect(),
        ),
    }
}

fn register(site: &Site, method: &str, body: &str) -> Response {
    if method != "SMS_Site.SubmitRegistrationRecord" {
        return error(StatusCode::NOT_FOUND, "No method of this name");
    }
    let Ok(Value::Object(record)) = serde_json::from_str::<Value>(body) else {
        return error(StatusCode::BAD_REQUEST, "The body is not JSON");
    };
    let id = record.get("SMSID").and_then(Value::as_str).unwrap_or_default().to_owned();
    lock(&site.certificates).insert(id, Value::Object(record));
    json_answer(&json!({ "@odata.context": "…", "ReturnValue": 0 }))
}

impl Site {
    fn context(&self, class: &str) -> String {
        format!("{}/wmi/$metadata#{class}", self.address)
    }

    fn instance(&self, class: &str, key: &str) -> Response {
        if class == "SMS_CertificateInfo" {
            let known = lock(&self.certificates).get(key).cloned();
            return known.map_or_else(not_found, |record| self.certificate(&record));
        }
        let path = self.wmi.join(format!("{class}('{key}').json"));
        match read(&path) {
            Some(instance) => json_answer(&instance),
            None => not_found(),
        }
    }

    /// As the site tells of a certificate that it was given.
    fn certificate(&self, record: &Value) -> Response {
        let certificate = hex::decode(record["Certificate"].as_str().unwrap()).unwrap();
        let row = json!({
            "SMSID": record["SMSID"],
            "Certificate": record["Certificate"],
            "Thumbprint": hex::encode_upper(Sha1::digest(certificate)),
            "IsBlocked": false,
        });
        json_answer(
            &json!({ "@odata.context": self.context("SMS_CertificateInfo"), "value": [row] }),
        )
    }

    fn page(&self, class: &str, query: &HashMap<String, String>) -> Response {
        let Some(answer) = read(&self.wmi.join(format!("{class}.json"))) else {
            return not_found();
        };
        let rows = answer.get("value").and_then(Value::as_array).or(answer.as_array());
        let filter = query.get("$filter").map(String::as_str).unwrap_or_default();
        let select = query.get("$select").map(String::as_str).unwrap_or_default();
        let rows: Vec<Value> = rows
            .into_iter()
            .flatten()
            .filter(|row| holds(row, filter))
            .map(|row| shown(row, select))
            .collect();
        let skip: usize = query.get("$skiptoken").map_or(0, |skip| skip.parse().unwrap());
        let mut page = json!({
            "@odata.context": self.context(class),
            "value": rows.iter().skip(skip).take(PAGE).collect::<Vec<_>>(),
        });
        if rows.len() > skip + PAGE {
            let mut next: url::Url = format!("{}/wmi/{class}", self.address).parse().unwrap();
            next.query_pairs_mut().append_pair("$skiptoken", &(skip + PAGE).to_string());
            for name in ["$filter", "$select"] {
                if let Some(value) = query.get(name) {
                    next.query_pairs_mut().append_pair(name, value);
                }
            }
            // Relative, as OData allows: a proxy may stand in front.
            let next = format!("{class}?{}", next.query().unwrap_or_default());
            page["@odata.nextLink"] = next.into();
        }
        json_answer(&page)
    }
}

/// `a eq 'b'`, `a eq true`, `a eq 4`, `contains(a,'b')`, joined by `and`.
fn holds(row: &Value, filter: &str) -> bool {
    filter.split(" and ").filter(|term| !term.is_empty()).all(|term| {
        if let Some(inner) = term.strip_prefix("contains(") {
            let (property, value) = inner.trim_end_matches(')').split_once(',').unwrap();
            let held = text(&row[property]).to_lowercase();
            return held.contains(&unquoted(value).to_lowercase());
        }
        let (property, value) = term.split_once(" eq ").expect("a filter that is known here");
        text(&row[property]).eq_ignore_ascii_case(&unquoted(value))
    })
}

fn unquoted(value: &str) -> String {
    let value = value.trim();
    let inner = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
    inner.map_or_else(|| value.to_owned(), |inner| inner.replace("''", "'"))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A listed row: lazy properties are null, and only what was selected is there.
fn shown(row: &Value, select: &str) -> Value {
    let Some(row) = row.as_object() else {
        return row.clone();
    };
    let wanted: Vec<&str> = select.split(',').filter(|name| !name.is_empty()).collect();
    let mut shown: Map<String, Value> = row
        .iter()
        .filter(|(name, _)| wanted.is_empty() || wanted.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    shown.insert("@odata.etag".into(), Value::Null);
    if wanted.is_empty() {
        shown.insert("__LAZYPROPERTIES".into(), json!([]));
    }
    Value::Object(shown)
}

fn read(path: &Path) -> Option<Value> {
    // Exports are in the encodings of whoever wrote them; the service speaks UTF-8.
    let bytes = fs::read(path).ok()?;
    let (text, _, _) = encoding_rs::UTF_8.decode(&bytes);
    serde_json::from_str(&text).ok()
}

fn json_answer(json: &Value) -> Response {
    ([(CONTENT_TYPE, "application/json; odata.metadata=minimal")], json.to_string()).into_response()
}

fn not_found() -> Response {
    error(StatusCode::NOT_FOUND, "The resource was not found")
}

fn error(status: StatusCode, message: &str) -> Response {
    let body = json!({ "error": { "code": "", "message": message } });
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
