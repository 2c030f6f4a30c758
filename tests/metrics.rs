//! What operators scale workers by, as a public parser of Prometheus' format reads it.
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

use prestage_test_servers::ports;
#[path = "../crates/store/tests/support/seaweed.rs"]
mod seaweed;
mod support;

use std::{
    collections::BTreeMap,
    io::Write as _,
    net::TcpListener,
    process::{Command, Stdio},
};

use seaweed::Seaweed;
use support::{
    Demo, command,
    fleet::{saved_plan, service, service_with, start_build, wait_until},
    ok,
};

/// Samples by name and labels, as `prestage_queue_tasks{reason=slot}`.
type Samples = BTreeMap<String, f64>;

/// What an address serves, read by Python's prometheus_client.
fn scrape(address: &str) -> Samples {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let text = runtime.block_on(async {
        reqwest::get(format!("http://{address}/metrics")).await.unwrap().text().await.unwrap()
    });
    let script = "import sys\nfrom prometheus_client.parser import text_string_to_metric_families as read\n\
        for family in read(sys.stdin.read()):\n  for s in family.samples:\n    \
        labels = ','.join(f'{k}={v}' for k, v in sorted(s.labels.items()))\n    \
        print(s.name + '{' + labels + '}', s.value, sep='\\t')\n";
    let mut reader = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    reader.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = reader.wait_with_output().unwrap();
    assert!(output.status.success(), "prometheus_client, which ./setup.sh tests installs: {text}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let sample = |line: &str| {
        let (name, value) = line.split_once('\t').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    lines.lines().map(sample).collect()
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn queues_tasks_and_bytes_are_counted() {
    let demo = Demo::new();
    let plan = saved_plan(&demo, "fast", &[]);
    let (data, metrics, at_worker) = (demo.path("data"), free_address(), free_address());
    let args = ["coordinator", "--listen", "127.0.0.1:0", "--metrics", &metrics, "--data-dir"];
    let args: Vec<&str> = args.into_iter().chain([data.to_str().unwrap()]).collect();
    let (_coordinator, line, _) = service(&demo, &args, "coordinator is ready");
    let address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap().to_owned();

    let client = start_build(&demo, &address, &plan);
    let waiting = "prestage_queue_tasks{reason=worker}";
    wait_until(|| scrape(&metrics).get(waiting).is_some_and(|tasks| *tasks > 5.0));
    wait_until(|| scrape(&metrics)["prestage_queue_age_seconds{reason=worker}"] > 0.5);
    assert_eq!(scrape(&metrics)["prestage_builds{state=running}"], 1.0);
    assert_eq!(scrape(&metrics)["prestage_leader{}"], 1.0);

    let url = format!("http://{address}");
    let args = ["worker", "--coordinator", &url, "--name", "w", "--metrics", &at_worker];
    let (_worker, _, _) = service(&demo, &args, "worker is ready");
    ok(&client.wait_with_output().unwrap());
    wait_until(|| scrape(&metrics)["prestage_builds{state=running}"] == 0.0);
    let (fleet, worker) = (scrape(&metrics), scrape(&at_worker));
    assert_eq!(fleet[waiting], 0.0, "gone, and seen to be gone");
    assert_eq!(fleet["prestage_builds_total{outcome=done}"], 1.0);
    assert_eq!(fleet["prestage_workers{state=taking}"], 1.0);
    for kind in ["splice", "boot", "encode", "assemble", "merge", "publish"] {
        let done = format!("prestage_tasks_total{{kind={kind},outcome=done}}");
        assert!(fleet[&done] >= 1.0, "{kind}");
        assert_eq!(fleet[&done], worker[&done.replace("_tasks", "_worker_tasks")], "{kind}");
        assert_eq!(fleet[&done], fleet[&format!("prestage_task_seconds_count{{kind={kind}}}")]);
    }
    let medium = std::fs::metadata(demo.path("out.wim")).unwrap().len() as f64;
    let bytes = |way: &str| fleet[&format!("prestage_bytes_total{{way={way}}}")];
    let made = bytes("spliced") + bytes("encoded");
    assert!(made > medium * 0.8 && made < medium * 1.1, "{made} of {medium}");
    let (copied, uploaded) = (bytes("copied"), bytes("uploaded"));
    assert!(copied > medium * 0.9 && uploaded < medium * 0.1, "{copied} + {uploaded} of {medium}");
    assert_eq!(copied + uploaded, medium, "every byte of the medium went one way");
    assert!(bytes("read") > made, "{fleet:?}");
}

/// A store that copies parts by itself has all of a medium copied.
#[test]
fn what_a_bucket_copies_is_told_from_what_workers_send() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Seaweed::start());
    let demo = Demo::of_mib(120);
    let plan = saved_plan(&demo, "fast", &[]);
    let (data, metrics) = (demo.path("data"), free_address());
    let args = ["coordinator", "--listen", "127.0.0.1:0", "--metrics", &metrics];
    let places = ["--objects", "s3://packs", "--data-dir", data.to_str().unwrap()];
    let args = [&args[..], &places[..]].concat();
    let environment = server.environment();
    let ready = "coordinator is ready";
    let (_coordinator, line, _) = service_with(&demo, &args, &environment, ready);
    let address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap();
    let url = format!("http://{address}");
    let args = ["worker", "--coordinator", &url, "--name", "w"];
    let (_worker, _, _) = service_with(&demo, &args, &environment, "worker is ready");
    let build = ["build", "--json", "--plan", &plan, "--coordinator", &url];
    let output = ["--output", "s3://media/w11.wim"];
    let mut client = command(&demo);
    client.args(build).args(output).envs(environment);
    ok(&client.output().unwrap());
    let verify = ["verify", "--json", "s3://media/w11.wim"];
    assert_eq!(
        ok(&command(&demo).args(verify).envs(environment).output().unwrap())["manifest"],
        "agrees"
    );
    let fleet = scrape(&metrics);
    let bytes = |way: &str| fleet[&format!("prestage_bytes_total{{way={way}}}")];
    let (copied, uploaded) = (bytes("copied"), bytes("uploaded"));
    // The glue is an object of the same server, so all of the medium is copied there.
    assert!(copied > 0.0 && uploaded == 0.0, "{copied} copied, {uploaded} sent");
}

#[test]
fn an_address_in_use_is_told() {
    let demo = Demo::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let args = ["worker", "--metrics", &address];
    let said = support::refused(&support::prestage(&demo, args), 1);
    assert!(said.contains(&address) && said.contains("--metrics"), "{said}");
}
