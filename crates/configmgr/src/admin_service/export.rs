//! Writing the offline folder of a live site: what AdminService answered, file by file.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::live::{AdminService, AdminServiceError};
use super::questions::questions;
use super::row::Record;
use super::task_sequences::TaskSequencePackage;

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportSummary {
    /// Classes with their number of rows, in the order in which they were asked for.
    pub classes: Vec<(String, usize)>,
    /// Classes that the site does not have.
    pub absent: Vec<String>,
    /// Task sequences whose steps were saved.
    pub task_sequences: Vec<String>,
}

/// Saves all answers below `folder`, which stands for `…/AdminService`, whole rows as they came, all
/// pages of an answer in one file. The steps of `task_sequences` are saved; of all, if none is named.
/// `told` hears of each class before it is asked for.
///
/// # Errors
/// [`AdminServiceError`] when a question gets no answer; the folder is the caller's to throw away then.
pub async fn export(
    service: &AdminService,
    folder: &Path,
    task_sequences: &[String],
    mut told: impl FnMut(&str),
) -> Result<ExportSummary, AdminServiceError> {
    let wmi = folder.join("wmi");
    let mut summary = ExportSummary::default();
    let mut listed: Vec<String> = task_sequences.iter().map(|id| id.to_ascii_uppercase()).collect();
    for question in questions() {
        told(question.class);
        let Some(rows) = service.rows(&question, None, false).await? else {
            summary.absent.push(question.class.to_owned());
            continue;
        };
        if question.class == TaskSequencePackage::CLASS && task_sequences.is_empty() {
            let ids = rows.iter().filter_map(|row| row.get("PackageID")?.as_str());
            listed.extend(ids.map(str::to_owned));
        }
        summary.classes.push((question.class.to_owned(), rows.len()));
        save(&wmi.join(format!("{}.json", question.class)), &json!({ "value": rows })).await?;
    }
    let class = TaskSequencePackage::CLASS;
    for id in listed {
        told(&id);
        if let Some(instance) = service.instance(class, &id).await? {
            save(&wmi.join(format!("{class}('{id}').json")), &instance).await?;
            summary.task_sequences.push(id);
        }
    }
    Ok(summary)
}

async fn save(path: &Path, json: &Value) -> Result<(), AdminServiceError> {
    let failed = |path: PathBuf, problem: String| AdminServiceError::Answer {
        what: path.display().to_string(),
        problem: format!("it can't be written: {problem}"),
    };
    let (path, text) = (path.to_owned(), serde_json::to_vec_pretty(json));
    let text = text.map_err(|error| failed(path.clone(), error.to_string()))?;
    let to = path.clone();
    let written = tokio::task::spawn_blocking(move || {
        fs::create_dir_all(to.parent().unwrap_or(Path::new("")))?;
        fs::write(&to, text)
    });
    let written = written.await.map_err(|error| failed(path.clone(), error.to_string()))?;
    written.map_err(|error| failed(path, error.to_string()))
}
