//! A PKCS#12 says itself how much work it takes to open, and may hold many parts that say so each. That is done
//! on a thread of its own, and waited for only so long.

use std::time::Duration;

use prestage_media::{
    certificate::{CertificateError, ImportError},
    spec::MediaSpec,
};
use prestage_threads::off_thread;
use time::OffsetDateTime;
use tokio::{sync::Semaphore, time::timeout};

use super::{
    problems::PlanFailure,
    secrets::{GivenSecrets, Identity, identity},
};

/// Files that are opened at once. One that takes too long is left to its thread, and keeps its place.
const OPENING_MAX: usize = 2;
/// Real ones take some hundredths of a second.
const OPEN_WITHIN: Duration = Duration::from_secs(20);

static OPENING: Semaphore = Semaphore::const_new(OPENING_MAX);

/// Makes the medium's identity from the secrets that were given, or says all that is wrong with them.
pub async fn bounded_identity(
    spec: &MediaSpec,
    given: GivenSecrets,
    now: OffsetDateTime,
) -> Result<Identity, PlanFailure> {
    if spec.security.certificate.validity(now).is_some() {
        return identity(spec, &given, now);
    }
    let spec = spec.clone();
    in_bounds(OPEN_WITHIN, move || identity(&spec, &given, now)).await
}

async fn in_bounds<T: Send + 'static>(
    within: Duration,
    work: impl FnOnce() -> Result<T, PlanFailure> + Send + 'static,
) -> Result<T, PlanFailure> {
    let opened = timeout(within, async {
        let place = OPENING.acquire().await;
        off_thread(move || {
            let _place = place;
            work()
        })
        .await
    });
    match opened.await {
        Ok(Ok(identity)) => identity,
        Ok(Err(stopped)) => Err(PlanFailure::Internal(stopped.to_string())),
        Err(_) => {
            let seconds = within.as_secs();
            Err(CertificateError::from(ImportError::Work { seconds }).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_takes_too_long_is_refused_and_keeps_its_place_until_it_ends() {
        let (ends, waits) = mpsc::channel::<()>();
        let (begins, begun) = oneshot::channel();
        let never = in_bounds(Duration::from_secs(1), move || {
            begins.send(()).unwrap();
            let _ = waits.recv();
            Ok(())
        });
        let refused = never.await.unwrap_err().to_string();
        assert!(refused.contains("could not be opened within 1 seconds"), "{refused}");
        begun.await.unwrap();
        assert_eq!(OPENING.available_permits(), OPENING_MAX - 1);
        drop(ends);
        let both = OPENING.acquire_many(OPENING_MAX as u32).await.unwrap();
        let refused =
            in_bounds(Duration::from_millis(20), || Ok(())).await.unwrap_err().to_string();
        assert!(refused.contains("could not be opened"), "{refused}");
        drop(both);
    }
}
