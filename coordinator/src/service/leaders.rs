//! Where a call is answered: here, if this coordinator is the active one; else there, by that one.

use std::{
    error::Error as _,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prestage_connect::{channel_to, endpoint};
use prestage_proto::v1::{
    media_service_client::MediaServiceClient, trust_service_client::TrustServiceClient,
    worker_service_client::WorkerServiceClient,
};
use prestage_trust::client::ClientTrust;
use tokio::sync::watch;
use tonic::{
    Extensions, Request, Response, Status,
    metadata::{MetadataMap, MetadataValue},
    transport::{Channel, Endpoint},
};

use super::{
    MESSAGE_BYTES_MAX,
    authorize::{Caller, ON_BEHALF_OF},
};
use crate::{
    leadership::{Active, Role},
    trust::Trust,
};

/// Says that a call comes from another coordinator: it is not sent on once more.
const FORWARDED: &str = "prestage-forwarded";
/// Of the connection to the caller, not of the call; and how the caller proved to us who they are.
const OF_THE_CONNECTION: [&str; 4] =
    ["grpc-encoding", "grpc-accept-encoding", "authorization", ON_BEHALF_OF];
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Another way to coordinators than over TCP.
pub type Reach = Arc<dyn Fn(Endpoint) -> Channel + Send + Sync>;

/// Knows who is active.
#[derive(Clone)]
pub(crate) struct Leaders {
    role: watch::Receiver<Role>,
    /// To the leader that was needed last.
    channel: Arc<Mutex<Option<(String, Channel)>>>,
    trust: Option<Arc<Trust>>,
    reach: Option<Reach>,
}

/// Where a call is answered.
pub(crate) enum Way {
    /// By this coordinator.
    Here(Active),
    /// By the active one.
    There(Leader),
}

impl Leaders {
    pub fn new(
        role: watch::Receiver<Role>,
        trust: Option<Arc<Trust>>,
        reach: Option<Reach>,
    ) -> Self {
        Self { role, channel: Arc::default(), trust, reach }
    }

    /// What this coordinator works with if it is active.
    pub fn here(&self) -> Option<Active> {
        match &*self.role.borrow() {
            Role::Active(active) => Some(active.clone()),
            Role::Standby { .. } => None,
        }
    }

    /// The way for a call with this metadata.
    pub fn way(&self, metadata: &MetadataMap) -> Result<Way, Status> {
        let address = match &*self.role.borrow() {
            Role::Active(active) => return Ok(Way::Here(active.clone())),
            Role::Standby { leader } => leader.clone(),
        };
        if address.is_empty() {
            let what = "no coordinator is active at the moment: one takes over in a few seconds";
            return Err(Status::unavailable(what));
        }
        if metadata.contains_key(FORWARDED) {
            return Err(Status::unavailable("the active coordinator is changing: ask again"));
        }
        let channel = self.channel_to(&address)?;
        Ok(Way::There(Leader { role: self.role.clone(), address, channel }))
    }

    fn channel_to(&self, address: &str) -> Result<Channel, Status> {
        let mut known = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, channel)) = &*known
            && of == address
        {
            return Ok(channel.clone());
        }
        let endpoint = endpoint(address, true).map_err(|error| {
            let what = format!("the active coordinator's address '{address}' is none: {error}");
            Status::unavailable(what + "; see its setting 'advertise'")
        })?;
        let endpoint = endpoint.connect_timeout(CONNECT_WITHIN);
        let channel = match &self.reach {
            Some(reach) => reach(endpoint),
            None => self.over_tcp(endpoint, address)?,
        };
        *known = Some((address.to_owned(), channel.clone()));
        Ok(channel)
    }

    fn over_tcp(&self, endpoint: Endpoint, address: &str) -> Result<Channel, Status> {
        // Whoever started this one without a trust file has chosen so.
        let plainly = || ClientTrust { insecure: true, ..ClientTrust::default() };
        let shown = self.trust.as_ref().map_or_else(plainly, |trust| trust.as_client());
        channel_to(endpoint, &shown).map_err(|error| {
            Status::unavailable(format!("the active coordinator's address '{address}': {error}"))
        })
    }
}

/// The active coordinator, if it is another one.
pub(crate) struct Leader {
    role: watch::Receiver<Role>,
    address: String,
    channel: Channel,
}

impl Leader {
    /// Its media service.
    pub fn media(&self) -> MediaServiceClient<Channel> {
        MediaServiceClient::new(self.channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// Its worker service.
    pub fn work(&self) -> WorkerServiceClient<Channel> {
        WorkerServiceClient::new(self.channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// Its trust service.
    pub fn trust(&self) -> TrustServiceClient<Channel> {
        TrustServiceClient::new(self.channel.clone())
    }

    /// Waits for its answer, but not for one that doesn't lead any more: it may have stopped
    /// without ending its connections.
    pub async fn answer<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<Response<T>, Status> {
        tokio::select! {
            answer = call => answer.map_err(|status| self.explained(status)),
            () = self.deposed() => {
                Err(Status::unavailable("the active coordinator has changed: ask again"))
            }
        }
    }

    /// Ends when it doesn't lead any more.
    pub fn deposed(&self) -> impl Future<Output = ()> + use<> {
        let (mut role, address) = (self.role.clone(), self.address.clone());
        async move {
            let other =
                |role: &Role| !matches!(role, Role::Standby { leader } if *leader == address);
            // Whoever shows the role has ended: so does this coordinator.
            let _ = role.wait_for(other).await;
        }
    }

    /// A status that was made here, and did not come from there, has a source.
    fn explained(&self, status: Status) -> Status {
        if status.source().is_none() {
            return status;
        }
        let address = &self.address;
        let problem = status.message();
        let what = format!("the active coordinator {address} does not answer: {problem}");
        Status::unavailable(what)
    }
}

/// The request as it is sent on: its metadata goes with it, so trace and deadline do.
pub(crate) fn forwarded<T>(request: Request<T>) -> Request<T> {
    let (mut metadata, extensions, message) = request.into_parts();
    for key in OF_THE_CONNECTION {
        metadata.remove(key);
    }
    metadata.insert(FORWARDED, MetadataValue::from_static("1"));
    // The active coordinator decides once more, about the same caller.
    let caller = extensions.get::<Caller>().and_then(|caller| caller.principal.as_ref());
    if let Some(Ok(principal)) = caller.map(|who| MetadataValue::try_from(who.to_header())) {
        metadata.insert(ON_BEHALF_OF, principal);
    }
    Request::from_parts(metadata, Extensions::default(), message)
}

#[cfg(test)]
mod tests {
    use prestage_proto::v1::SynchronizeRequest;

    use super::*;

    fn standby(leader: &str) -> (watch::Sender<Role>, Leaders) {
        let (role, seen) = watch::channel(Role::Standby { leader: leader.into() });
        (role, Leaders::new(seen, None, None))
    }

    fn refused(way: Result<Way, Status>) -> String {
        match way {
            Ok(_) => panic!("there is a way"),
            Err(status) => {
                assert_eq!(status.code(), tonic::Code::Unavailable);
                status.message().to_owned()
            }
        }
    }

    #[tokio::test]
    async fn sends_on_once_and_says_when_nobody_is_active() {
        let (_role, leaders) = standby("");
        let said = refused(leaders.way(&MetadataMap::new()));
        assert!(said.contains("no coordinator is active"), "{said}");
        let (_role, leaders) = standby("http://127.0.0.1:1");
        let mut request = Request::new(());
        request.metadata_mut().insert("traceparent", MetadataValue::from_static("00-1-2-01"));
        request.set_timeout(Duration::from_secs(3));
        assert!(matches!(leaders.way(request.metadata()), Ok(Way::There(_))));
        let sent_on = forwarded(request);
        for kept in ["traceparent", "grpc-timeout"] {
            assert!(sent_on.metadata().contains_key(kept), "{kept}");
        }
        let said = refused(leaders.way(sent_on.metadata()));
        assert!(said.contains("is changing"), "{said}");
    }

    #[tokio::test]
    async fn waits_for_nobody_who_leads_no_more() {
        let (role, leaders) = standby("http://127.0.0.1:1");
        let Ok(Way::There(leader)) = leaders.way(&MetadataMap::new()) else {
            panic!("there is no way");
        };
        let hangs = std::future::pending::<Result<Response<()>, Status>>();
        let answer = tokio::spawn(async move { leader.answer(hangs).await.map(drop) });
        role.send_replace(Role::Standby { leader: "http://127.0.0.1:2".into() });
        let status = answer.await.unwrap().unwrap_err();
        assert!(status.message().contains("has changed"), "{status}");
    }

    /// A connection that broke without a word held up everybody who called by way of a standby. Found by the
    /// simulation.
    #[tokio::test]
    async fn a_leader_that_gives_no_sign_of_life_is_no_answer() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            tokio::io::copy(&mut connection, &mut tokio::io::sink()).await
        });
        let (_role, leaders) = standby(&address);
        let Ok(Way::There(leader)) = leaders.way(&MetadataMap::new()) else {
            panic!("there is no way");
        };
        let mut client = leader.work();
        let answer = leader.answer(client.synchronize(SynchronizeRequest::default()));
        let answer = tokio::time::timeout(Duration::from_secs(30), answer).await.unwrap();
        let status = answer.unwrap_err();
        assert!(status.message().contains(&format!("{address} does not answer")), "{status}");
    }

    #[tokio::test]
    async fn tells_which_leader_does_not_answer() {
        let (_role, leaders) = standby("http://127.0.0.1:1");
        let Ok(Way::There(leader)) = leaders.way(&MetadataMap::new()) else {
            panic!("there is no way");
        };
        let request = prestage_proto::v1::CancelBuildRequest::default();
        let status = leader.answer(leader.media().cancel_build(request)).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unavailable);
        assert!(status.message().contains("http://127.0.0.1:1 does not answer"), "{status}");
    }
}
