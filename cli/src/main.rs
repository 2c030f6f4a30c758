//! The `prestage` command.
//!
//! Exit codes are a contract: 0 done, 1 failed, 2 the request is wrong. With `--json`, standard
//! output carries exactly one JSON document; progress and logs go to standard error.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod allocator;
mod args;
mod commands;
mod connect;
mod core_dumps;
mod error;
mod medium;
mod output;
mod progress;
mod settings;

use std::process::ExitCode;

use clap::Parser;
use prestage_telemetry::LogFormat;

use args::{Cli, Command};

fn main() -> ExitCode {
    if let Err(error) = core_dumps::forbid() {
        eprintln!("prestage: core dumps can't be forbidden: {error}");
        return ExitCode::from(1);
    }
    let cli = Cli::parse();
    // What runs workers has a budget of memory.
    if matches!(cli.command, Command::Worker(_) | Command::Build(_)) {
        allocator::give_back_what_is_freed();
    }
    let service = matches!(cli.command, Command::Coordinator(_) | Command::Worker(_));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("prestage: the system gives no threads: {error}");
            return ExitCode::from(1);
        }
    };
    runtime.block_on(async {
        let level = if service { "info" } else { "error" };
        let format = if cli.log_json { LogFormat::Json } else { LogFormat::Text };
        let telemetry = match prestage_telemetry::init("prestage", level, format) {
            Ok(guard) => guard,
            Err(error) => {
                eprintln!("prestage: {error}");
                return ExitCode::from(2);
            }
        };
        let json = cli.json;
        let done = commands::run(cli).await;
        // Spans are flushed before the exit code is known to anybody.
        drop(telemetry);
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                if json {
                    output::print_error(&error.document());
                }
                ExitCode::from(error.exit_code())
            }
        }
    })
}
