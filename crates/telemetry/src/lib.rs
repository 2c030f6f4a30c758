//! Tracing and OpenTelemetry, set up once.
//!
//! Logs go to standard error. Traces go to the OTLP endpoint that `OTEL_EXPORTER_OTLP_ENDPOINT`
//! names, and nowhere when it names none. A collector that is down slows nothing and fails nothing.
//! One build is one trace: its context travels as a W3C `traceparent`, stored with the build and
//! handed to workers with each lease.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod metrics_listener;
mod numbers;

use std::collections::HashMap;

use opentelemetry::{propagation::TextMapPropagator, trace::TracerProvider};
use opentelemetry_otlp::{SpanExporter, WithTonicConfig};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

pub use numbers::{Number, serve_metrics};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Crates whose own spans would be exported about exporting.
const QUIET: &str = "h2=off,hyper=off,tonic=off,tower=off,opentelemetry=off,reqwest=off";

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The endpoint makes no sense.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT can't be used: {0}; give http://HOST:4317 or unset it")]
    Endpoint(String),
    /// It was set up before.
    #[error("logging is set up already: {0}")]
    Twice(String),

    /// The metrics can't be served.
    #[error("metrics can't be served at {address}: {problem}; name another address with --metrics")]
    Metrics {
        /// Where.
        address: String,
        /// Why not.
        problem: String,
    },
}

/// Flushes traces when it is dropped.
#[must_use = "traces are flushed when it is dropped"]
pub struct Guard(Option<SdkTracerProvider>);

impl Drop for Guard {
    fn drop(&mut self) {
        // A collector that is down must not make the program fail; its own time-out bounds this.
        if let Some(provider) = self.0.take() {
            let _ = provider.shutdown();
        }
    }
}

/// Sets up logs and traces for the whole process. `level` is what is logged unless `RUST_LOG` says
/// otherwise. Must be called inside a tokio runtime.
pub fn init(service: &str, level: &str, format: LogFormat) -> Result<Guard, TelemetryError> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let provider = provider(service)?;
    let spans = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("prestage"))
            .with_filter(EnvFilter::new(format!("info,{QUIET}")))
    });
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(spans)
        .try_init()
        .map_err(|error| TelemetryError::Twice(error.to_string()))?;
    Ok(Guard(provider))
}

fn provider(service: &str) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    if std::env::var_os(ENDPOINT).is_none_or(|endpoint| endpoint.is_empty()) {
        return Ok(None);
    }
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_metadata(Default::default())
        .build()
        .map_err(|error| TelemetryError::Endpoint(error.to_string()))?;
    let resource = Resource::builder().with_service_name(service.to_owned()).build();
    let provider =
        SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    Ok(Some(provider))
}

/// The header, or the gRPC metadata, that a trace's context travels in (W3C).
pub const TRACEPARENT: &str = "traceparent";

/// The W3C `traceparent` of a span; empty when it is not traced.
pub fn traceparent(span: &Span) -> String {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut carrier);
    carrier.remove(TRACEPARENT).unwrap_or_default()
}

/// Makes `span` a child of the span that `traceparent` names, and gives it back.
pub fn span_under(span: Span, traceparent: &str) -> Span {
    if !traceparent.is_empty() {
        let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
        let parent = TraceContextPropagator::new().extract(&carrier);
        // Without an exporter there is no context to set, which is no fault.
        let _ = span.set_parent(parent);
    }
    span
}
