//! Figures of the scheduler: `cargo bench -p prestage-coordinator --bench scheduler`. See docs/benchmarks.md.
//!
//! `-- --times encode=0.4,splice=3.1,…` gives the measured seconds of each kind of task for the
//! simulated scaling.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    time::{Duration, Instant},
};

use peak_alloc::PeakAlloc;
use prestage_coordinator::{
    Policy,
    records::TaskRecord,
    schedule::{BuildOrder, Scheduler, TaskRef},
    state::conformance::example_task,
};
use prestage_proto::v1::{self, finished::Outcome, task::Work};
use prost::Message;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const SECOND: Duration = Duration::from_secs(1);
const ROUNDS: usize = 5;

fn main() {
    let times = times();
    println!("| what | figure | aim |\n|---|---|---|");
    let adding = median(|| added(100_000).0);
    println!("| 100 000 tasks planned into the queue | {adding:.3} s | < 1 s |");
    println!("| memory of 100 000 tasks | {:.0} MiB | |", added(100_000).1);
    for waiting in [0, 100_000] {
        let calls = median(|| idle_calls(waiting));
        println!(
            "| calls a second that change nothing, {waiting} tasks waiting | {calls:.0} | 10 000 |"
        );
    }
    let calls = median(|| working_calls(100_000));
    println!("| calls a second that each end a task and begin one | {calls:.0} | 10 000 |");
    println!("\n| workers | time | speed-up | of N |\n|---|---|---|---|");
    let one = simulate(1, &times);
    for workers in [1, 2, 4, 8, 16, 32] {
        let took = simulate(workers, &times);
        let faster = one / took;
        let share = faster / workers as f64;
        println!("| {workers} | {took:.0} s | {faster:.2}× | {share:.2} |");
    }
}

fn median(mut measure: impl FnMut() -> f64) -> f64 {
    let mut all: Vec<f64> = (0..ROUNDS).map(|_| measure()).collect();
    all.sort_by(f64::total_cmp);
    all[ROUNDS / 2]
}

/// Seconds by kind.
fn times() -> BTreeMap<String, f64> {
    let arguments: Vec<String> = std::env::args().collect();
    let given = arguments.iter().position(|a| a == "--times").map(|at| arguments[at + 1].clone());
    let given = given
        .unwrap_or_else(|| "encode=1,splice=4,boot=1,assemble=0.2,merge=1,publish=0.2".to_owned());
    let time = |pair: &str| {
        let (kind, seconds) = pair.split_once('=').unwrap();
        (kind.to_owned(), seconds.parse().unwrap())
    };
    given.split(',').map(time).collect()
}

/// An encode task as a plan makes it: 20 files from two distribution points.
fn encode(id: &str, key: &str) -> TaskRecord {
    let source = |name: &str| v1::ContentSource {
        distribution_point: format!("{name}.corp.example"),
        content_library: format!("/mnt/{name}/SCCMContentLib"),
    };
    let file = |number: u64| v1::ListedFile {
        path: format!("Drivers/Network/e1d{number}/e1d65x64-{number}.sys"),
        size: 70_000 + number,
        sha256: vec![number as u8; 32].into(),
        attributes: 0x20,
        modified: 133_000_000_000_000_000,
    };
    let work = v1::EncodeTask {
        pack_key: key.to_owned(),
        sources: vec![source("dp1"), source("dp2")],
        files: (0..20).map(file).collect(),
        ..Default::default()
    };
    TaskRecord {
        work_key: key.to_owned(),
        payload: v1::Task { objects_url: "/objects".into(), work: Some(Work::Encode(work)) },
        bytes_total: 1_400_000,
        ..example_task(id, &[])
    }
}

fn fleet(builds: usize, tasks: usize) -> Vec<(String, Vec<TaskRecord>)> {
    let build = |number: usize| {
        let task = |task: usize| encode(&format!("{task:04}"), &format!("{number}/{task}"));
        (format!("build {number:04}"), (0..tasks).map(task).collect())
    };
    (0..builds).map(build).collect()
}

fn add(scheduler: &mut Scheduler, builds: Vec<(String, Vec<TaskRecord>)>) {
    for (build, tasks) in builds {
        let requester = format!("requester {}", build.len() % 7);
        let order = BuildOrder { requester, ..BuildOrder::default() };
        scheduler.add_build(&build, order, tasks, SECOND);
    }
}

/// Seconds to take so many tasks up, and what they and their queue occupy in MiB.
fn added(tasks: usize) -> (f64, f64) {
    let before = MEMORY.current_usage_as_mb();
    let builds = fleet(tasks / 1000, 1000);
    let mut scheduler = Scheduler::new(Policy::default());
    let start = Instant::now();
    add(&mut scheduler, builds);
    let took = start.elapsed().as_secs_f64();
    let occupied = MEMORY.current_usage_as_mb() - before;
    drop(scheduler);
    (took, f64::from(occupied))
}

fn call(worker: usize) -> v1::SynchronizeRequest {
    let name = format!("worker {worker}");
    v1::SynchronizeRequest {
        worker_id: name.clone(),
        worker_name: name,
        slots: 1,
        ..Default::default()
    }
}

/// 1000 workers that are busy say so again and again, while tasks wait.
fn idle_calls(waiting: usize) -> f64 {
    let mut scheduler = Scheduler::new(Policy::default());
    add(&mut scheduler, fleet(waiting / 1000, 1000));
    let mut requests: Vec<v1::SynchronizeRequest> = (0..1000).map(call).collect();
    for request in &mut requests {
        scheduler.synchronize(request, SECOND);
        let granted = scheduler.grant(&request.worker_id, SECOND);
        request.running = granted
            .iter()
            .map(|(task, generation)| v1::Running {
                task_id: task.to_wire(),
                generation: *generation,
                bytes_done: 5,
            })
            .collect();
    }
    let calls = 50_000;
    let start = Instant::now();
    for number in 0..calls {
        let request = &requests[number % requests.len()];
        scheduler.synchronize(request, SECOND);
        assert!(scheduler.grant(&request.worker_id, SECOND).is_empty());
        assert!(scheduler.desired(&request.worker_id).len() < 2);
    }
    calls as f64 / start.elapsed().as_secs_f64()
}

/// 100 workers end a task and get the next one with each call.
fn working_calls(tasks: usize) -> f64 {
    let mut scheduler = Scheduler::new(Policy::default());
    add(&mut scheduler, fleet(tasks / 1000, 1000));
    let mut requests: Vec<v1::SynchronizeRequest> = (0..100).map(call).collect();
    let calls = 20_000;
    let start = Instant::now();
    for number in 0..calls {
        let request = &mut requests[number % 100];
        let outcome = scheduler.synchronize(request, SECOND);
        for (task, result) in outcome.finished {
            scheduler.finish(&task, &result, SECOND);
        }
        let granted = scheduler.grant(&request.worker_id, SECOND);
        request.finished =
            granted.iter().map(|(task, generation)| done(task, *generation)).collect();
        assert_eq!(request.finished.len(), 1);
    }
    calls as f64 / start.elapsed().as_secs_f64()
}

fn done(task: &TaskRef, generation: u32) -> v1::Finished {
    let result = v1::TaskResult { bytes_read: 1, ..Default::default() };
    let outcome = Some(Outcome::Result(result.encode_to_vec().into()));
    v1::Finished { task_id: task.to_wire(), generation, outcome }
}

/// Seconds until ten builds of fifty contents each, all different, are done by so many workers of one
/// slot, in simulated time.
fn simulate(workers: usize, times: &BTreeMap<String, f64>) -> f64 {
    let mut scheduler = Scheduler::new(Policy::default());
    for number in 0..10 {
        let order = BuildOrder { requester: format!("{}", number % 3), ..BuildOrder::default() };
        scheduler.add_build(&format!("{number}"), order, build(number), Duration::ZERO);
    }
    let mut now = Duration::ZERO;
    let mut ends: BinaryHeap<Reverse<(Duration, usize, String, u32)>> = BinaryHeap::new();
    let mut idle: Vec<usize> = (0..workers).collect();
    loop {
        idle.retain(|&worker| {
            scheduler.synchronize(&call(worker), now);
            let granted = scheduler.grant(&format!("worker {worker}"), now);
            for (task, generation) in &granted {
                let mut tasks = scheduler.tasks(&task.build_id);
                let entry = tasks.find(|entry| entry.record.task_id == task.task_id).unwrap();
                let took = Duration::from_secs_f64(times[&entry.record.kind]);
                ends.push(Reverse((now + took, worker, task.to_wire(), *generation)));
            }
            granted.is_empty()
        });
        let Some(Reverse((at, worker, task, generation))) = ends.pop() else {
            return now.as_secs_f64();
        };
        now = at;
        let task = TaskRef::from_wire(&task).unwrap();
        let mut request = call(worker);
        request.finished = vec![done(&task, generation)];
        let outcome = scheduler.synchronize(&request, now);
        for (task, result) in outcome.finished {
            scheduler.finish(&task, &result, now);
        }
        idle.push(worker);
    }
}

/// A build's tasks with what they wait for.
fn build(number: usize) -> Vec<TaskRecord> {
    let named = |id: &str, kind: &str, deps: Vec<String>, bytes: u64| TaskRecord {
        kind: kind.to_owned(),
        work_key: String::new(),
        bytes_total: bytes,
        deps,
        ..example_task(id, &[])
    };
    let mut tasks: Vec<TaskRecord> = (0..50)
        .map(|task| encode(&format!("encode{task:02}"), &format!("{number}/{task}")))
        .collect();
    tasks.push(named("splice", "splice", Vec::new(), 1 << 30));
    tasks.push(named("boot", "boot", Vec::new(), 1 << 20));
    let first = tasks.iter().map(|task| task.task_id.clone()).collect();
    tasks.push(named("assemble", "assemble", first, 1));
    let merges = 0..4;
    for merge in merges.clone() {
        tasks.push(named(&format!("merge{merge}"), "merge", vec!["assemble".into()], 1));
    }
    let merges = merges.map(|merge| format!("merge{merge}")).collect();
    tasks.push(named("publish", "publish", merges, 1));
    tasks
}
