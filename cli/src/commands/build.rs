//! `prestage build`: a medium, from a spec or a plan.

use std::path::Path;

use prestage_proto::v1;
use serde_json::{Value, json};
use tracing::Instrument;

use super::{
    follow::{Interrupt, follow},
    new_password::NewPassword,
    request::{Request, absolute_output, plan_request},
};
use crate::{
    args::BuildArgs,
    connect::Connection,
    error::CliError,
    output::{Output, bytes, list, number, text},
};

/// Plans if need be, builds, and follows the build to its end.
pub async fn build(args: BuildArgs, output: Output) -> Result<(), CliError> {
    // The request is checked before anything is started for it.
    let request = match &args.spec {
        Some(spec) => Some(plan_request(spec, &args.with, true)?),
        None => None,
    };
    let plan = args.plan.as_deref().map(read_plan).transpose()?;
    let given = args.with.output.as_deref();
    let given = given.map(|output| absolute_output(output, Path::new(""))).transpose()?;
    let staging = request.as_ref().and_then(|request| request.staging_folder.clone());
    if staging.is_some() && args.remote.coordinator.is_some() {
        eprintln!("warning: output.staging_folder is not used: a fleet's workers have their own");
    } else if staging.is_some() && !args.remote.local.objects.contains("://") {
        eprintln!("warning: output.staging_folder is not used: packs in a folder are staged there");
    }
    let mut connection = Connection::open_staged(&args.remote, true, staging).await?;
    let started = std::time::Instant::now();
    let span = tracing::info_span!("prestage build", otel.kind = "client");
    let built = run(&mut connection, request, plan, given, &args).instrument(span).await;
    let closed = connection.close().await;
    let build = built?;
    closed?;
    let seconds = started.elapsed().as_secs_f64();
    report(&build, seconds, output)
}

/// A saved plan.
pub fn read_plan(path: &Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(path).map_err(|error| {
        let what = format!("the plan {} can't be read: {error}", path.display());
        CliError::wrong(what, "make it with 'prestage plan SPEC --save PLAN'")
    })
}

async fn run(
    connection: &mut Connection,
    request: Option<Request>,
    plan: Option<Vec<u8>>,
    output: Option<String>,
    args: &BuildArgs,
) -> Result<v1::Build, CliError> {
    let client = &mut connection.client;
    let plan_json = match (plan, request) {
        (Some(plan), _) => plan.into(),
        (None, Some(request)) => {
            let plan_json = client.plan_media(request.plan).await?.into_inner().plan_json;
            request.new_password.iter().try_for_each(NewPassword::tell)?;
            plan_json
        }
        (None, None) => return Err(CliError::wrong("neither a spec nor a plan was given", "")),
    };
    for warning in list(&serde_json::from_slice(&plan_json)?, "warnings").filter_map(Value::as_str)
    {
        eprintln!("warning: {warning}");
    }
    let submit = v1::SubmitBuildRequest {
        request_id: uuid::Uuid::new_v4().simple().to_string(),
        plan_json,
        output: output.unwrap_or_default(),
        requester: std::env::var("USER").unwrap_or_default(),
        no_register: args.no_register,
        priority: args.priority,
        deadline: args.deadline.map(prestage_coordinator::service::timestamp),
    };
    let build_id = client.submit_build(submit).await?.into_inner().build_id;
    follow(connection, &build_id, Interrupt::Cancels).await
}

/// Says how a build ended.
pub fn report(build: &v1::Build, seconds: f64, output: Output) -> Result<(), CliError> {
    match build.state() {
        v1::BuildState::Done => {}
        v1::BuildState::Cancelled => {
            return Err(CliError::failed("the build was cancelled", "no medium was written"));
        }
        v1::BuildState::Running => {
            let what = format!(
                "the coordinator has ended; build {} goes on when it is back",
                build.build_id
            );
            return Err(CliError::failed(what, format!("prestage watch {}", build.build_id)));
        }
        _ => {
            let failure = build.failure.clone().unwrap_or_default();
            return Err(CliError::from_failure(failure, false));
        }
    }
    let report: Value = serde_json::from_slice(&build.report_json).unwrap_or_default();
    let document = json!({
        "build_id": build.build_id,
        "name": build.name,
        "state": "done",
        "seconds": seconds,
        "report": report,
    });
    output.print(&document, |document| {
        let report = &document["report"];
        let (medium, content) = (&report["medium"], &report["content_bytes"]);
        format!(
            "medium    {}\nsize      {} ({} padding)\ncontents  {} besides the OS and boot images\n\
             bytes     {} read and packed, {} reused\ntime      {seconds:.1} s\nbuild     {}",
            text(medium, "output"),
            bytes(number(medium, "bytes")),
            bytes(number(medium, "padding_bytes")),
            number(report, "contents"),
            bytes(number(content, "made")),
            bytes(number(content, "reused")),
            text(document, "build_id"),
        )
    })
}
