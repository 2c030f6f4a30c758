//! Commands about builds: list, show, watch, cancel.

use prestage_proto::v1;
use serde_json::{Value, json};

use super::{
    build::report,
    follow::{Interrupt, follow},
};
use crate::{
    args::{BuildIdArgs, RemoteArgs},
    connect::Connection,
    error::CliError,
    output::{Output, bytes, list as elements, number, table, text},
};

const PAGE: i32 = 200;

/// Lists builds, newest first.
pub async fn list(args: &RemoteArgs, output: Output) -> Result<(), CliError> {
    let mut connection = Connection::open(args, false).await?;
    let mut builds = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListBuildsRequest { page_size: PAGE, page_token };
        let page = connection.client.list_builds(request).await?.into_inner();
        builds.extend(page.builds.iter().map(brief));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    connection.close().await?;
    output.print(&json!({ "builds": builds }), |document| {
        let mut rows = table(&["build", "medium", "state", "output"]);
        for build in elements(document, "builds") {
            let fields = ["build_id", "name", "state", "output"];
            rows.add_row(fields.map(|field| text(build, field).to_owned()));
        }
        rows.to_string()
    })
}

/// Shows one build with its tasks.
pub async fn show(args: &BuildIdArgs, output: Output) -> Result<(), CliError> {
    let mut connection = Connection::open(&args.remote, false).await?;
    let request = v1::GetBuildRequest { build_id: args.build.clone() };
    let found = connection.client.get_build(request).await;
    connection.close().await?;
    let build = found?.into_inner().build.unwrap_or_default();
    let tasks: Vec<Value> = build.tasks.iter().map(task).collect();
    let mut document = brief(&build);
    document["tasks"] = tasks.into();
    output.print(&document, |document| {
        let mut rows = table(&["task", "state", "bytes", "worker", "waits for", "what"]);
        for task in elements(document, "tasks") {
            let done = bytes(number(task, "bytes_done"));
            rows.add_row([
                text(task, "task_id").to_owned(),
                text(task, "state").to_owned(),
                format!("{done} of {}", bytes(number(task, "bytes_total"))),
                text(task, "worker").to_owned(),
                waits(task),
                text(task, "label").to_owned(),
            ]);
        }
        let head = format!("{} {}", text(document, "name"), text(document, "state"));
        format!("{head}\n{}\n\n{rows}", text(document, "failure"))
    })
}

/// Follows a build to its end.
pub async fn watch(args: &BuildIdArgs, output: Output) -> Result<(), CliError> {
    // In a process of its own nobody else would finish the build.
    let alone = args.remote.coordinator.is_none();
    let interrupt = if alone { Interrupt::Cancels } else { Interrupt::Leaves };
    let mut connection = Connection::open(&args.remote, true).await?;
    let started = std::time::Instant::now();
    let followed = follow(&mut connection, &args.build, interrupt).await;
    connection.close().await?;
    report(&followed?, started.elapsed().as_secs_f64(), output)
}

/// Cancels a build.
pub async fn cancel(args: &BuildIdArgs, output: Output) -> Result<(), CliError> {
    let mut connection = Connection::open(&args.remote, false).await?;
    let request = v1::CancelBuildRequest { build_id: args.build.clone() };
    let cancelled = connection.client.cancel_build(request).await;
    connection.close().await?;
    let stopping = cancelled?.into_inner().stopping_workers;
    let document = json!({
        "build_id": args.build,
        "state": "cancelled",
        "stopping_workers": stopping,
    });
    output.print(&document, |document| {
        let told = format!("build {} is cancelled", text(document, "build_id"));
        match stopping.is_empty() {
            true => format!("{told}, and no worker works for it any more"),
            false => format!("{told}; {} have yet to stop", stopping.join(", ")),
        }
    })
}

/// For what, since when, and until when where that is known.
fn waits(task: &Value) -> String {
    let what = text(task, "waiting_for");
    if what.is_empty() {
        return String::new();
    }
    let clock = |field: &str, word: &str| {
        let seconds = task[field].as_i64()?;
        let time = time::OffsetDateTime::from_unix_timestamp(seconds).ok()?.time();
        let (hours, minutes, seconds) = time.as_hms();
        Some(format!(", {word} {hours:02}:{minutes:02}:{seconds:02} UTC"))
    };
    let since = clock("since", "since").unwrap_or_default();
    format!("{what}{since}{}", clock("until", "until").unwrap_or_default())
}

fn brief(build: &v1::Build) -> Value {
    let state = match build.state() {
        v1::BuildState::Running => "running",
        v1::BuildState::Done => "done",
        v1::BuildState::Failed => "failed",
        v1::BuildState::Cancelled => "cancelled",
        v1::BuildState::Unspecified => "unknown",
    };
    json!({
        "build_id": build.build_id,
        "name": build.name,
        "state": state,
        "output": build.output,
        "requester": build.requester,
        "priority": build.priority,
        "deadline": build.deadline.as_ref().map(|deadline| deadline.seconds),
        "failure": build.failure.as_ref().map(|failure| failure.what.clone()),
    })
}

fn task(task: &v1::TaskStatus) -> Value {
    let state = task.state().as_str_name().trim_start_matches("TASK_STATE_").to_lowercase();
    json!({
        "task_id": task.task_id,
        "kind": task.kind,
        "label": task.label,
        "state": state,
        "bytes_done": task.bytes_done,
        "bytes_total": task.bytes_total,
        "worker": task.worker,
        "generation": task.generation,
        "reused": task.reused,
        "waiting_for": task.waiting_for,
        "since": task.since.as_ref().map(|since| since.seconds),
        "until": task.until.as_ref().map(|until| until.seconds),
    })
}
