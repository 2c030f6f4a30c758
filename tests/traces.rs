//! One build is one trace, seen by a real OTLP receiver.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{collections::BTreeSet, sync::Arc};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::Span,
};
use support::{Demo, command, ok};
use tokio::sync::mpsc;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

struct Receiver(mpsc::UnboundedSender<Span>);

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let spans = request.into_inner().resource_spans.into_iter().flat_map(|r| r.scope_spans);
        for span in spans.flat_map(|scope| scope.spans) {
            self.0.send(span).unwrap();
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_is_one_trace() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (sender, mut spans) = mpsc::unbounded_channel();
    let service = TraceServiceServer::new(Receiver(sender));
    let server = tonic::transport::Server::builder().add_service(service);
    let serving = tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));

    let demo = Arc::new(Demo::new());
    let (data, output) = (demo.path("data"), demo.path("out.wim"));
    let mut build = command(&demo);
    build.args(["build", "--json", "--workers", "2", "--data-dir", data.to_str().unwrap()]);
    build.args(["--output", output.to_str().unwrap(), demo.spec().to_str().unwrap()]);
    build.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    let finished = tokio::task::spawn_blocking(move || build.output().unwrap()).await.unwrap();
    ok(&finished);
    serving.abort();

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
