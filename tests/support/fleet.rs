//! A coordinator and workers as processes of their own.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use serde_json::Value;

use super::{Demo, Running, command, ok, prestage};

/// How long a test waits for what should happen soon.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a service and waits for the line that says it is ready; gives its log lines from there.
pub fn service(
    demo: &Demo,
    args: &[&str],
    ready: &str,
) -> (Running, String, mpsc::Receiver<String>) {
    service_with(demo, args, &[], ready)
}

/// The same with more environment variables.
pub fn service_with(
    demo: &Demo,
    args: &[&str],
    environment: &[(&str, &str)],
    ready: &str,
) -> (Running, String, mpsc::Receiver<String>) {
    let mut command = command(demo);
    command.args(args).envs(environment.iter().copied());
    service_of(command, ready)
}

/// The same of a command that is all made up.
pub fn service_of(mut command: Command, ready: &str) -> (Running, String, mpsc::Receiver<String>) {
    let mut child =
        command.env("NO_COLOR", "1").stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let (sender, lines) = mpsc::channel();
    let log = BufReader::new(child.stderr.take().unwrap());
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            eprintln!("| {line}");
            // The test may be over.
            let _ = sender.send(line);
        }
    });
    let running = Running(child);
    let line = wait_for(&lines, ready);
    (running, line, lines)
}

/// The next line of a log that says `what`.
pub fn wait_for(lines: &mpsc::Receiver<String>, what: &str) -> String {
    loop {
        let line = lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no '{what}' was said"));
        if line.contains(what) {
            return line;
        }
    }
}

/// A coordinator over the data folder `data`, and its address.
pub fn coordinator(demo: &Demo, listen: &str) -> (Running, String) {
    let data = demo.path("data");
    let args = [
        "coordinator",
        "--listen",
        listen,
        "--data-dir",
        data.to_str().unwrap(),
        "--lease-seconds",
        "2",
    ];
    let (running, line, _) = service(demo, &args, "coordinator is ready");
    let address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap();
    (running, address.to_owned())
}

/// A worker with one slot and one thread, and its log.
pub fn worker(demo: &Demo, address: &str, name: &str) -> (Running, mpsc::Receiver<String>) {
    let url = format!("http://{address}");
    let args = ["worker", "--coordinator", &url, "--name", name, "--slots", "1", "--threads", "1"];
    let (running, _, lines) = service(demo, &args, "worker is ready");
    (running, lines)
}

/// A plan that a coordinator and the undisturbed build share, so that their media can be compared.
pub fn saved_plan(demo: &Demo, codec: &str, more: &[&str]) -> String {
    let (spec, data, plan) = (demo.spec(), demo.path("data"), demo.path("saved.plan"));
    let mut args = vec!["plan", spec.to_str().unwrap(), "--codec", codec];
    args.extend(["--save", plan.to_str().unwrap(), "--data-dir", data.to_str().unwrap()]);
    args.extend(more);
    ok(&prestage(demo, args));
    plan.to_str().unwrap().to_owned()
}

/// The plan's medium, made by one worker in one process, with the data folder `quiet`.
pub fn undisturbed(demo: &Demo, plan: &str) -> Vec<u8> {
    let (quiet, output) = (demo.path("quiet"), demo.path("quiet.wim"));
    std::fs::create_dir(&quiet).unwrap();
    std::fs::copy(demo.path("data/seal.key"), quiet.join("seal.key")).unwrap();
    let args = [
        "build",
        "--plan",
        plan,
        "--data-dir",
        quiet.to_str().unwrap(),
        "--output",
        output.to_str().unwrap(),
    ];
    ok(&prestage(demo, args));
    std::fs::read(output).unwrap()
}

/// A client that has the plan built into `out.wim`.
pub fn start_build(demo: &Demo, address: &str, plan: &str) -> std::process::Child {
    let (output, url) = (demo.path("out.wim"), format!("http://{address}"));
    let args = [
        "build",
        "--json",
        "--plan",
        plan,
        "--coordinator",
        &url,
        "--output",
        output.to_str().unwrap(),
    ];
    command(demo).args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// A build's tasks as the coordinator shows them.
pub fn tasks(demo: &Demo, address: &str, build: &str) -> Vec<Value> {
    let url = format!("http://{address}");
    let shown = ok(&prestage(demo, ["show", build, "--json", "--coordinator", &url]));
    shown["tasks"].as_array().unwrap().clone()
}

/// The id of the only build, once it is there.
pub fn first_build(demo: &Demo, address: &str) -> String {
    let url = format!("http://{address}");
    let mut found = String::new();
    wait_until(|| {
        let listed = ok(&prestage(demo, ["list", "--json", "--coordinator", &url]));
        found = listed["builds"][0]["build_id"].as_str().unwrap_or_default().to_owned();
        !found.is_empty()
    });
    found
}

/// A fleet cleans up after its builds have ended; nobody else has to.
pub fn until_clean(demo: &Demo) {
    wait_until(|| super::left_behind(demo).is_empty());
}

/// Asks another process until it says yes; each question takes time of its own.
pub fn wait_until(mut condition: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "it never happened");
    }
}
