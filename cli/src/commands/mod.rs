//! The commands: one file each.

mod build;
mod builds;
mod doctor;
mod inspect;
mod plan;
mod request;
mod services;
mod verify;

use time::OffsetDateTime;

use crate::{
    args::{Cli, Command},
    error::CliError,
    output::{Output, text},
};

/// Runs the command.
pub async fn run(cli: Cli) -> Result<(), CliError> {
    let output = Output { json: cli.json };
    match cli.command {
        Command::Build(args) => build::build(args, output).await,
        Command::Plan(args) => plan::plan(args, output).await,
        Command::Verify(args) => verify::verify(&args, output).await,
        Command::Inspect(args) => inspect::inspect(&args, output).await,
        Command::Sample { dir, mib } => sample(&dir, mib, output),
        Command::Coordinator(args) => services::coordinator(args).await,
        Command::Worker(args) => services::worker(args).await,
        Command::Schema => schema(),
        Command::List(args) => builds::list(&args, output).await,
        Command::Show(args) => builds::show(&args, output).await,
        Command::Watch(args) => builds::watch(&args, output).await,
        Command::Cancel(args) => builds::cancel(&args, output).await,
        Command::Log(_) => {
            Err(not_yet("prestage log", "see 'prestage show' and the services' logs"))
        }
        Command::Gc(_) => {
            Err(not_yet("prestage gc", "packs may be removed while nothing is built"))
        }
        Command::Doctor(args) => doctor::doctor(&args, output).await,
    }
}

fn not_yet(what: &str, advice: &str) -> CliError {
    CliError::wrong(format!("'{what}' is not supported yet"), advice)
}

/// A schema is a document for machines, with or without `--json`.
fn schema() -> Result<(), CliError> {
    Output { json: true }.print(&prestage_media::spec::json_schema(), |_| String::new())
}

fn sample(dir: &std::path::Path, mib: Option<u64>, output: Output) -> Result<(), CliError> {
    let options = mib.map_or_else(prestage_sample::SampleOptions::default, sample_of);
    let summary = prestage_sample::write_sample(dir, &options, OffsetDateTime::now_utc())
        .map_err(|error| CliError::failed(error.to_string(), ""))?;
    let spec = dir.join("spec.toml");
    let document = serde_json::json!({
        "directory": dir.display().to_string(),
        "spec": spec.display().to_string(),
        "content_bytes": summary.content_bytes,
        "contents": summary.contents,
    });
    output.print(&document, |document| {
        let spec = text(document, "spec");
        format!("sample site in {}\nnow try: prestage build {spec}", text(document, "directory"))
    })
}

/// A sample of about `mib` MiB: OS image 60 %, drivers 20 %, installers the rest.
fn sample_of(mib: u64) -> prestage_sample::SampleOptions {
    let percent = |share: u64| (mib << 20) * share / 100;
    prestage_sample::SampleOptions {
        os_files: (mib * 8).clamp(420, 200_000) as usize,
        os_bytes: percent(60),
        driver_files: (mib * 4).clamp(640, 100_000) as usize,
        driver_bytes: percent(20),
        payload_bytes: percent(8),
        application_bytes: percent(4),
        ..prestage_sample::SampleOptions::default()
    }
}
