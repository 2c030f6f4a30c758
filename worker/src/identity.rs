//! How a worker comes by its certificate, and keeps it fresh.

use std::time::Duration;

use prestage_connect::Coordinators;
use prestage_proto::v1::{self, trust_service_client::TrustServiceClient};
use prestage_trust::{TrustError, client::IdentityFolder};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// A renewal that failed is tried again after this part of the certificate's life.
const TRY_AGAIN_PART: u32 = 50;
const TRY_AGAIN_MIN: Duration = Duration::from_secs(1);
/// It is looked at least this often: clocks may jump.
const LOOK_MAX: Duration = Duration::from_secs(600);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Files.
    #[error(transparent)]
    Files(#[from] TrustError),
    /// The coordinator gave none.
    #[error("no certificate: {}", .0.message())]
    Refused(#[from] Status),
}

/// Gets the first certificate, by a one-time token.
pub async fn enrol(
    coordinators: Coordinators,
    folder: &IdentityFolder,
    name: &str,
    token: &str,
) -> Result<(), IdentityError> {
    let key = folder.new_key()?;
    let (token, name) = (token.to_owned(), name.to_owned());
    let request = v1::EnrolRequest { token, name, signing_request: key.request.clone().into() };
    let answer = TrustServiceClient::new(coordinators).enrol(request).await?.into_inner();
    Ok(folder.keep(&key, &answer.certificate_chain)?)
}

/// Renews the certificate whenever half of its life is over, until `stop`. Connections that are made
/// after that show the new one.
pub async fn keep_renewed(
    coordinators: Coordinators,
    folder: IdentityFolder,
    stop: CancellationToken,
) {
    let mut client = TrustServiceClient::new(coordinators);
    loop {
        let pause = match renew_if_due(&mut client, &folder).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::warn!(%error, "the certificate could not be renewed yet");
                let life = folder.validity().ok().flatten().map(|(from, until)| until - from);
                let life = life.and_then(|life| Duration::try_from(life).ok());
                (life.unwrap_or_default() / TRY_AGAIN_PART).max(TRY_AGAIN_MIN)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause.min(LOOK_MAX)) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Gives how long it is until the certificate is due.
async fn renew_if_due(
    client: &mut TrustServiceClient<Coordinators>,
    folder: &IdentityFolder,
) -> Result<Duration, IdentityError> {
    let Some((from, until)) = folder.validity()? else {
        return Ok(LOOK_MAX);
    };
    let due = from + (until - from) / 2;
    let left = due - OffsetDateTime::now_utc();
    if let Ok(left) = Duration::try_from(left)
        && !left.is_zero()
    {
        return Ok(left);
    }
    let key = folder.new_key()?;
    let request = v1::RenewCertificateRequest { signing_request: key.request.clone().into() };
    let answer = client.renew_certificate(request).await?.into_inner();
    folder.keep(&key, &answer.certificate_chain)?;
    tracing::info!("the certificate was renewed");
    Ok(TRY_AGAIN_MIN)
}
