//! What tools that know nothing of Prestage ask a coordinator: is it well, and what can be asked.
//!
//! Both are the standard services (`grpc.health.v1`, `grpc.reflection.v1`), so Kubernetes' probes,
//! load balancers and `grpcurl` work as they are.

use std::{sync::Arc, time::Duration};

use prestage_proto::v1::{
    self, media_service_server::MediaServiceServer, worker_service_server::WorkerServiceServer,
};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Router;
use tonic_health::{ServingStatus, server::HealthReporter};

use super::{MediaApi, WorkApi};
use crate::state::StateStore;

/// How often the state is asked: well within the usual period of a probe, which is 10 seconds.
const PERIOD: Duration = Duration::from_secs(5);

/// How long the state may take. A database that is slower than this serves nobody.
const PATIENCE: Duration = Duration::from_secs(3);

/// Adds health and reflection to a server.
///
/// Health is `NOT_SERVING` until the state could be read, while it can't be, and from `shutdown`
/// on. It says so for the whole server (the empty name) and for each service.
pub(crate) async fn with_introspection<L>(
    router: Router<L>,
    store: Arc<dyn StateStore>,
    shutdown: CancellationToken,
) -> Router<L> {
    let (reporter, health) = tonic_health::server::health_reporter();
    // Said before anything is served: the default for the whole server is SERVING.
    report(&reporter, ServingStatus::NotServing).await;
    tokio::spawn(watch(reporter, store, shutdown));
    let router = router.add_service(health);
    let described = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(v1::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    // Clients of both generations are about: grpcurl asks v1 first, Python's library v1alpha only.
    match (described().build_v1(), described().build_v1alpha()) {
        (Ok(current), Ok(older)) => router.add_service(current).add_service(older),
        (Err(error), _) | (_, Err(error)) => {
            // Builds don't need it, so it is no reason not to serve.
            tracing::error!(%error, "reflection is not offered: its descriptors can't be read");
            router
        }
    }
}

/// Keeps the health up to date until the shutdown.
async fn watch(reporter: HealthReporter, store: Arc<dyn StateStore>, shutdown: CancellationToken) {
    let mut said = ServingStatus::NotServing;
    loop {
        let asked = tokio::time::timeout(PATIENCE, store.list("", 1));
        let answer = tokio::select! {
            answer = asked => answer,
            () = shutdown.cancelled() => break,
        };
        let problem = match answer {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {} seconds", PATIENCE.as_secs())),
        };
        let now = match problem {
            None => ServingStatus::Serving,
            Some(_) => ServingStatus::NotServing,
        };
        if now != said {
            report(&reporter, now).await;
            said = now;
            match problem {
                None => tracing::info!("health: the state can be read, serving"),
                Some(problem) => tracing::error!(problem, "health: the state can't be read"),
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = shutdown.cancelled() => break,
        }
    }
    report(&reporter, ServingStatus::NotServing).await;
}

async fn report(reporter: &HealthReporter, status: ServingStatus) {
    reporter.set_service_status("", status).await;
    match status {
        ServingStatus::Serving => {
            reporter.set_serving::<MediaServiceServer<MediaApi>>().await;
            reporter.set_serving::<WorkerServiceServer<WorkApi>>().await;
        }
        ServingStatus::NotServing | ServingStatus::Unknown => {
            reporter.set_not_serving::<MediaServiceServer<MediaApi>>().await;
            reporter.set_not_serving::<WorkerServiceServer<WorkApi>>().await;
        }
    }
}
