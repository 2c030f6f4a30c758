//! Many seeds, each in a process of its own: what one leaves behind can't matter to the next.

use std::{
    env, fs, io,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::UNIX_EPOCH,
};

use prestage_sim::prepared::Prepared;

/// So many of the first seeds are run twice before all others: a trace that differs makes every other result
/// worthless.
const TWICE: u64 = 3;
/// A line is printed after so many.
const TOLD_EVERY: u64 = 50;
/// Names the program that a folder was prepared by.
const PREPARED_BY: &str = "prepared-by";

/// What was found so far.
#[derive(Default)]
struct Found {
    run: u64,
    faults: u64,
    broken: Vec<u64>,
}

/// Runs them, side by side; says what they found, and whether that is nothing.
#[allow(clippy::print_stdout)]
pub fn run(first: u64, count: u64, folder: &Path) -> io::Result<bool> {
    let jobs = thread::available_parallelism().map_or(1, usize::from).min(8);
    let slots: Vec<Prepared> =
        (0..jobs).map(|slot| Prepared { folder: folder.join(format!("slot-{slot}")) }).collect();
    for slot in &slots {
        prepare(slot)?;
    }
    if let Some(slot) = slots.first() {
        for seed in first..first + count.min(TWICE) {
            let (once, again) = (child(seed, slot)?, child(seed, slot)?);
            if once != again {
                println!("seed {seed} is another run each time:\n  {once}\n  {again}");
                return Ok(false);
            }
        }
        println!("{} seeds run twice: the same traces", count.min(TWICE));
    }
    let (next, found) = (AtomicU64::new(first), Mutex::new(Found::default()));
    thread::scope(|scope| {
        let work = |slot| work(&next, first + count, slot, &found);
        let running: Vec<_> = slots.iter().map(|slot| scope.spawn(move || work(slot))).collect();
        let done = running.into_iter().map(|one| one.join().unwrap_or(Ok(())));
        done.collect::<io::Result<()>>()
    })?;
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{} seeds, {} faults, {} broke a promise",
        found.run,
        found.faults,
        found.broken.len()
    );
    for seed in &found.broken {
        println!("  repeat it: cargo run -p prestage-sim -- --seed {seed} --trace");
    }
    Ok(found.broken.is_empty() && found.run == count)
}

#[allow(clippy::print_stdout)]
fn work(next: &AtomicU64, end: u64, slot: &Prepared, found: &Mutex<Found>) -> io::Result<()> {
    loop {
        let seed = next.fetch_add(1, Ordering::SeqCst);
        if seed >= end {
            return Ok(());
        }
        let said = child(seed, slot)?;
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        found.run += 1;
        found.faults += faults(&said);
        let is_sound = said.starts_with("seed ") && !said.contains("BROKEN");
        if !is_sound {
            found.broken.push(seed);
            println!("{said}");
        } else if found.run.is_multiple_of(TOLD_EVERY) {
            println!("{} seeds, {} broke a promise", found.run, found.broken.len());
        }
    }
}

/// Runs one seed; gives what it said.
fn child(seed: u64, slot: &Prepared) -> io::Result<String> {
    let mut command = Command::new(env::current_exe()?);
    command.arg("--seed").arg(seed.to_string()).arg("--folder").arg(&slot.folder);
    let output = command.stdin(Stdio::null()).output()?;
    let mut said = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    if said.is_empty() || !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        said += &format!("\n  seed {seed} BROKEN ({}): {}", output.status, errors.trim_end());
    }
    Ok(said)
}

/// `seed 7: 3 faults, …`
fn faults(said: &str) -> u64 {
    let number = said.split_once(": ").and_then(|(_, rest)| rest.split(' ').next());
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Prepares a folder, unless this very program has.
pub fn prepare(slot: &Prepared) -> io::Result<()> {
    let program = fs::metadata(env::current_exe()?)?;
    let built = program.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let ours = format!("{} {}", program.len(), built.as_nanos());
    let mark = slot.folder.join(PREPARED_BY);
    if fs::read_to_string(&mark).is_ok_and(|by| by == ours) {
        return Ok(());
    }
    if slot.folder.exists() {
        fs::remove_dir_all(&slot.folder)?;
    }
    let mut command = Command::new(env::current_exe()?);
    let output = command.arg("--prepare").arg("--folder").arg(&slot.folder).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() || said.contains("BROKEN") {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("undisturbed builds failed: {said}{errors}")));
    }
    fs::write(mark, ours)
}
