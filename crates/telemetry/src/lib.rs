//! Tracing and OpenTelemetry, set up once.
