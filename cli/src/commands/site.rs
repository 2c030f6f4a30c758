//! `prestage site export`: the offline folder of a live site.

use std::{fs, io::Write as _, path::Path};

use prestage_configmgr::{Site, admin_service};
use serde_json::json;

use crate::{
    args::ExportArgs,
    error::CliError,
    output::{Output, list, number, table, text},
    settings::access,
};

/// What the folder of answers is called beside `site.toml`.
const FOLDER: &str = "adminservice";

/// Exports it. The folder appears when all of it is there, or not at all.
pub async fn export(args: &ExportArgs, output: Output) -> Result<(), CliError> {
    if args.dir.exists() {
        let what = format!("{} exists already", args.dir.display());
        return Err(CliError::wrong(what, "name a folder that does not exist yet"));
    }
    let access = access(args.access.as_deref())?;
    let service = Site::live_admin_service(&args.site, &access);
    let service = service.map_err(|error| CliError::wrong(error.to_string(), ""))?;
    let service = service.ok_or_else(|| {
        let what = format!("{} names no live AdminService", args.site.display());
        CliError::wrong(what, "set site.admin_service = \"https://PROVIDER/AdminService\"")
    })?;
    let failed = |error: std::io::Error| {
        let what = format!("{} can't be written: {error}", args.dir.display());
        CliError::failed(what, "name a place that can be written to")
    };
    let parent = args.dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    let staged =
        tempfile::Builder::new().prefix(".export").tempdir_in(parent.unwrap_or(Path::new(".")));
    let staged = staged.map_err(failed)?;
    let told = |what: &str| eprintln!("asking for {what}");
    let answers = staged.path().join(FOLDER);
    let exported = admin_service::export(&service, &answers, &args.task_sequence, told).await;
    let summary = exported.map_err(|error| CliError::failed(error.to_string(), ""))?;
    describe(&args.site, staged.path()).map_err(failed)?;
    // Until here the folder goes with this process; now it is somebody's.
    let staged = staged.keep();
    fs::rename(&staged, &args.dir).map_err(failed)?;
    let classes =
        summary.classes.iter().map(|(class, rows)| json!({ "class": class, "rows": rows }));
    let document = json!({
        "directory": args.dir.display().to_string(),
        "classes": classes.collect::<Vec<_>>(),
        "absent": summary.absent,
        "task_sequences": summary.task_sequences,
    });
    output.print(&document, |document| {
        let mut rows = table(&["class", "rows"]);
        for class in list(document, "classes") {
            rows.add_row([text(class, "class").to_owned(), number(class, "rows").to_string()]);
        }
        let sequences = list(document, "task_sequences").count();
        format!(
            "{rows}\n\n{sequences} task sequences with their steps, in {}",
            text(document, "directory")
        )
    })
}

/// `site.toml` as it was, but with the folder in place of the service; paths in it mean the same places.
fn describe(site: &Path, folder: &Path) -> std::io::Result<()> {
    let file = if site.is_dir() { site.join("site.toml") } else { site.to_owned() };
    let base = std::path::absolute(file.parent().unwrap_or(Path::new("")))?;
    let text = fs::read_to_string(&file)?;
    let mut described: toml::Table = text.parse().map_err(std::io::Error::other)?;
    if let Some(table) = described.get_mut("site").and_then(toml::Value::as_table_mut) {
        table.insert("admin_service".into(), FOLDER.into());
    }
    let points = described.get_mut("distribution_point").and_then(toml::Value::as_array_mut);
    for point in points.into_iter().flatten() {
        if let Some(toml::Value::String(library)) = point.get_mut("content_library") {
            *library = base.join(library.replace('\\', "/")).to_string_lossy().into_owned();
        }
    }
    let mut written = fs::File::create(folder.join("site.toml"))?;
    writeln!(written, "# Exported by prestage site export.")?;
    written.write_all(described.to_string().as_bytes())
}
