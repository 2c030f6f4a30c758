//! What tools that know nothing of Prestage ask a coordinator: is it well, and what can be asked.
//!
//! Both are the standard services (`grpc.health.v1`, `grpc.reflection.v1`), so Kubernetes' probes,
//! load balancers and `grpcurl` work as they are.

use std::{sync::Arc, time::Duration};

use prestage_proto::v1::{
    self, audit_service_server::AuditServiceServer, media_service_server::MediaServiceServer,
    trust_service_server::TrustServiceServer, worker_service_server::WorkerServiceServer,
};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Router;
use tonic_health::{ServingStatus, server::HealthReporter};

use super::{AuditApi, MediaApi, TrustApi, WorkApi};
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
    let probe = move || {
        let store = store.clone();
        async move { store.list("", 1).await.map(drop).map_err(|error| error.to_string()) }
    };
    tokio::spawn(watch(reporter, probe, PERIOD, shutdown));
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

/// Keeps the health up to date until the shutdown: what `probe` says, asked every `period`.
async fn watch<P, F>(
    reporter: HealthReporter,
    probe: P,
    period: Duration,
    shutdown: CancellationToken,
) where
    P: Fn() -> F,
    F: Future<Output = Result<(), String>>,
{
    let mut said = ServingStatus::NotServing;
    loop {
        let asked = async { tokio::time::timeout(PATIENCE, probe()).await };
        let answer = tokio::select! {
            answer = asked => answer,
            () = shutdown.cancelled() => break,
        };
        let answer = answer.unwrap_or_else(|_| Err("it does not answer in time".to_owned()));
        let now = match answer {
            Ok(()) => ServingStatus::Serving,
            Err(_) => ServingStatus::NotServing,
        };
        if now != said {
            report(&reporter, now).await;
            said = now;
            match answer {
                Ok(()) => tracing::info!("health: the state can be read, serving"),
                Err(problem) => tracing::error!(problem, "health: the state can't be read"),
            }
        }
        tokio::select! {
            () = tokio::time::sleep(period) => {}
            () = shutdown.cancelled() => break,
        }
    }
    report(&reporter, ServingStatus::NotServing).await;
}

async fn report(reporter: &HealthReporter, status: ServingStatus) {
    reporter.set_service_status("", status).await;
    match status {
        ServingStatus::Serving => {
            reporter.set_serving::<AuditServiceServer<AuditApi>>().await;
            reporter.set_serving::<MediaServiceServer<MediaApi>>().await;
            reporter.set_serving::<TrustServiceServer<TrustApi>>().await;
            reporter.set_serving::<WorkerServiceServer<WorkApi>>().await;
        }
        ServingStatus::NotServing | ServingStatus::Unknown => {
            reporter.set_not_serving::<AuditServiceServer<AuditApi>>().await;
            reporter.set_not_serving::<MediaServiceServer<MediaApi>>().await;
            reporter.set_not_serving::<TrustServiceServer<TrustApi>>().await;
            reporter.set_not_serving::<WorkerServiceServer<WorkApi>>().await;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tonic_health::pb::{
        HealthCheckRequest, health_check_response::ServingStatus as Said, health_server::Health,
    };

    use super::*;

    async fn said(service: &impl Health) -> Said {
        let request = tonic::Request::new(HealthCheckRequest { service: String::new() });
        service.check(request).await.unwrap().into_inner().status()
    }

    async fn says(service: &impl Health, expected: Said) {
        let waited = tokio::time::timeout(Duration::from_secs(20), async {
            while said(service).await != expected {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(waited.await.is_ok(), "health never said {expected:?}");
    }

    #[tokio::test]
    async fn health_follows_the_state_and_ends_with_the_shutdown() {
        let reporter = HealthReporter::new();
        let service = tonic_health::server::HealthService::from_health_reporter(reporter.clone());
        report(&reporter, ServingStatus::NotServing).await;
        assert_eq!(said(&service).await, Said::NotServing, "nothing was read yet");

        let works = Arc::new(AtomicBool::new(true));
        let shutdown = CancellationToken::new();
        let (asked, stop) = (works.clone(), shutdown.clone());
        let probe = move || {
            let works = asked.load(Ordering::SeqCst);
            async move { if works { Ok(()) } else { Err("the database is away".to_owned()) } }
        };
        let watching = tokio::spawn(watch(reporter, probe, Duration::from_millis(5), stop));
        says(&service, Said::Serving).await;
        works.store(false, Ordering::SeqCst);
        says(&service, Said::NotServing).await;
        works.store(true, Ordering::SeqCst);
        says(&service, Said::Serving).await;
        shutdown.cancel();
        watching.await.unwrap();
        assert_eq!(said(&service).await, Said::NotServing, "it ends");
    }
}
