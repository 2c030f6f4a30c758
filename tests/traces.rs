//! One build is one trace, seen by a real OTLP receiver.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/collector.rs"]
mod collector;
mod support;

use std::{collections::BTreeSet, sync::Arc};

use collector::collector;
use opentelemetry_proto::tonic::trace::v1::Span;
use support::{Demo, command, fleet::service_with, ok};

#[tokio::test(flavor = "multi_thread")]
async fn a_build_is_one_trace() {
    let (endpoint, mut spans) = collector().await;
    let demo = Arc::new(Demo::new());
    let (data, output) = (demo.path("data"), demo.path("out.wim"));
    let mut build = command(&demo);
    build.args(["build", "--json", "--workers", "2", "--data-dir", data.to_str().unwrap()]);
    build.args(["--output", output.to_str().unwrap(), demo.spec().to_str().unwrap()]);
    build.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    let finished = tokio::task::spawn_blocking(move || build.output().unwrap()).await.unwrap();
    ok(&finished);

    let mut all = Vec::new();
    while let Ok(span) = spans.try_recv() {
        all.push(span);
    }
    let build = all.iter().find(|span| span.name == "build").expect("a span of the build");
    let tasks: Vec<&Span> = all.iter().filter(|span| span.name == "task").collect();
    assert!(tasks.len() >= 13, "splice, boot, contents, assemble, merge, publish: {}", tasks.len());
    let traces: BTreeSet<&[u8]> = tasks.iter().map(|span| &span.trace_id[..]).collect();
    assert_eq!(traces.into_iter().collect::<Vec<_>>(), [&build.trace_id[..]]);
    let secret = demo.password();
    assert!(!format!("{all:?}").contains(&secret), "a span has the media password");
}

/// A fleet of processes that all tell the same collector; gives the client's output.
fn traced_fleet(demo: &Demo, endpoint: &str) -> std::process::Output {
    // Sent at once: services are killed when the test is over.
    let traced = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    let start = |args: &[&str], ready: &str| service_with(demo, args, &traced, ready);
    let data = demo.path("data");
    let args = ["coordinator", "--listen", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()];
    let (_coordinator, line, _) = start(&args, "coordinator is ready");
    let address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap();
    let url = format!("http://{address}");
    let (_first, ..) = start(&["worker", "--coordinator", &url, "--name", "a"], "worker is ready");
    let (_second, ..) = start(&["worker", "--coordinator", &url, "--name", "b"], "worker is ready");
    let mut build = command(demo);
    let output = demo.path("out.wim");
    build.args(["build", "--json", demo.spec().to_str().unwrap(), "--coordinator", &url]);
    build.args(["--output", output.to_str().unwrap()]);
    let output = build.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).output().unwrap();
    // The last of the services' spans are on their way.
    std::thread::sleep(std::time::Duration::from_secs(2));
    output
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleets_build_is_one_trace_from_the_client_to_the_object_store() {
    let (endpoint, mut spans) = collector().await;
    let demo = Arc::new(Demo::new());
    let fleet = demo.clone();
    let built = tokio::task::spawn_blocking(move || traced_fleet(&fleet, &endpoint)).await.unwrap();
    ok(&built);
    let mut all = Vec::new();
    while let Ok(span) = spans.try_recv() {
        all.push(span);
    }
    let root = all.iter().find(|span| span.name == "prestage build").expect("the client's span");
    assert!(root.parent_span_id.is_empty(), "the trace begins with the client");
    let of_trace: Vec<&Span> = all.iter().filter(|span| span.trace_id == root.trace_id).collect();
    let parent = |span: &Span| of_trace.iter().find(|other| other.span_id == span.parent_span_id);
    let under = |span: &Span, name: &str| {
        let mut span = span;
        while let Some(above) = parent(span) {
            if above.name == name {
                return true;
            }
            span = above;
        }
        false
    };
    let named = |name: &'static str| of_trace.iter().filter(move |span| span.name == name);
    for name in ["plan", "build"] {
        assert!(named(name).all(|span| under(span, "prestage build")), "{name}");
        assert_eq!(named(name).count(), 1, "{name}");
    }
    assert!(named("task").count() >= 13 && named("task").all(|span| under(span, "build")));
    let stored = named("store put").filter(|span| under(span, "task"));
    assert!(stored.count() >= 13, "packs and their indexes");
    assert!(named("store compose part").all(|span| under(span, "task")));
    assert!(named("store compose finish").count() == 1);
    assert!(!format!("{all:?}").contains(&demo.password()), "a span has the media password");
}

#[test]
fn a_dead_collector_fails_nothing() {
    let demo = Demo::new();
    let (data, output) = (demo.path("data"), demo.path("out.wim"));
    let finished = command(&demo)
        .args(["build", "--json", "--data-dir", data.to_str().unwrap()])
        .args(["--output", output.to_str().unwrap(), demo.spec().to_str().unwrap()])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
        .output()
        .unwrap();
    ok(&finished);
}
