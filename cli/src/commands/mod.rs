//! The commands: one file each.

mod audit;
mod build;
mod builds;
mod doctor;
mod follow;
mod gc;
mod import_cmdlet;
mod init;
mod inspect;
mod log;
mod new_password;
mod plan;
mod register;
mod request;
mod seal;
mod services;
mod site;
mod trust;
mod verify;

use time::OffsetDateTime;

use crate::{
    args::{Cli, Command, SiteCommand},
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
        Command::Sample { dir, mib, shape, seed } => {
            sample(&dir, &sample_options(mib, &shape, seed)?, output)
        }
        Command::Coordinator(args) => services::coordinator(args).await,
        Command::Worker(args) => services::worker(args).await,
        Command::Schema => schema(),
        Command::List(args) => builds::list(&args, output).await,
        Command::Show(args) => builds::show(&args, output).await,
        Command::Watch(args) => builds::watch(&args, output).await,
        Command::Cancel(args) => builds::cancel(&args, output).await,
        Command::Log(args) => log::log(&args, output).await,
        Command::Audit(args) => audit::audit(&args, output).await,
        Command::Gc(args) => gc::gc(&args, output).await,
        Command::Doctor(args) => doctor::doctor(&args, output).await,
        Command::Register(args) => register::register(&args, output).await,
        Command::Init(args) => init::init(&args).await,
        Command::ImportCmdlet(args) => import_cmdlet::import_cmdlet(&args, output),
        Command::Seal(command) => seal::seal(command, output).await,
        Command::Trust(command) => trust::trust(command, output).await,
        Command::Site(SiteCommand::Export(args)) => site::export(&args, output).await,
    }
}

/// A schema is a document for machines, with or without `--json`.
fn schema() -> Result<(), CliError> {
    Output { json: true }.print(&prestage_media::spec::json_schema(), |_| String::new())
}

fn sample(
    dir: &std::path::Path,
    options: &prestage_sample::SampleOptions,
    output: Output,
) -> Result<(), CliError> {
    let summary = prestage_sample::write_sample(dir, options, OffsetDateTime::now_utc())
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

fn sample_options(
    mib: Option<u64>,
    shape: &str,
    seed: u64,
) -> Result<prestage_sample::SampleOptions, CliError> {
    use prestage_sample::{SampleOptions, Shape};
    let shape = match shape {
        "whole" => Shape::Whole,
        "software" => Shape::Software,
        "packed" => Shape::Packed,
        other => {
            let what = format!("a sample can't be '{other}'");
            return Err(CliError::wrong(what, "use --shape whole, software or packed"));
        }
    };
    let options =
        mib.map_or_else(SampleOptions::default, |mib| SampleOptions::measuring(mib, shape));
    Ok(SampleOptions { seed, ..options })
}
