//! The coordinator: resolve, plan, schedule, and the gRPC API.
