//! `sim`: runs seeds, and says what they found.

mod many;

use std::{io, path::PathBuf, process::ExitCode};

use clap::Parser;
use prestage_sim::{
    prepared::Prepared,
    run::{self, Report},
    stuck, system,
    world::World,
};

/// The folder of what seeds share. Plans name paths, and a longer one makes longer messages: a seed is the same run
/// where this is.
const FOLDER: &str = "/tmp/prestage-sim";

/// Runs simulations of Prestage with faults, and checks its promises.
#[derive(Parser)]
#[command(
    name = "sim",
    after_help = "Examples:\n  sim --seed 17 --trace\n  sim --seeds 500\n  sim --first 1000 --seeds 50000"
)]
struct Args {
    /// One seed, in this process.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// So many seeds, each in a process of its own.
    #[arg(long)]
    seeds: Option<u64>,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Writes down all that happens.
    #[arg(long)]
    trace: bool,
    /// The folder of what all seeds share; it is prepared when it is not there.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Only prepares the folder.
    #[arg(long)]
    prepare: bool,
}

fn main() -> ExitCode {
    prestage_threads::in_lockstep();
    let args = Args::parse();
    if args.trace {
        // What the product itself says, for whoever looks for the cause of something: `RUST_LOG=debug`.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt().without_time().with_env_filter(filter).init();
    }
    match go(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn go(args: &Args) -> io::Result<bool> {
    let folder = args.folder.clone().unwrap_or_else(|| PathBuf::from(FOLDER));
    if let Some(count) = args.seeds {
        return many::run(args.first, count, &folder);
    }
    // As long as those of runs side by side, so that a seed is the same run there and here.
    let prepared = Prepared { folder: folder.join("slot-0") };
    let prepared = if args.folder.is_some() { Prepared { folder } } else { prepared };
    if args.prepare {
        return system::with_seed(1, || prepare(&prepared, args.trace))?.map(|()| true);
    }
    many::prepare(&prepared)?;
    let seed = args.seed.unwrap_or(args.first);
    stuck::watch(seed);
    let report = system::with_seed(seed, || run::run(seed, &prepared, args.trace))??;
    show(seed, &report);
    Ok(report.broken.is_empty())
}

fn prepare(prepared: &Prepared, shown: bool) -> io::Result<()> {
    std::fs::create_dir_all(&prepared.folder)?;
    prepared.write_site(World::new(0, false).now())?;
    let plans = run::plan(prepared, shown)?;
    let (report, references) = run::build_undisturbed(prepared, plans, shown)?;
    show(0, &report);
    for reference in references {
        prepared.keep(&reference)?;
    }
    Ok(())
}

#[allow(clippy::print_stdout)]
fn show(seed: u64, report: &Report) {
    let ended: Vec<String> =
        report.ended.iter().map(|(how, count)| format!("{count} {how}")).collect();
    println!(
        "seed {seed}: {} faults, {}, {:.1} s, {} lines, trace {}",
        report.faults,
        ended.join(", "),
        report.took.as_secs_f64(),
        report.lines,
        &report.trace[..16],
    );
    for broken in &report.broken {
        println!("  BROKEN {broken}");
    }
}
