//! Which coordinator is asked, on real connections.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use prestage_connect::Coordinators;
use prestage_proto::v1::{
    self,
    worker_service_client::WorkerServiceClient,
    worker_service_server::{WorkerService, WorkerServiceServer},
};
use prestage_trust::client::ClientTrust;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status, transport::Server};

/// Refuses so many calls, then answers with its number. It counts them all.
#[derive(Clone, Default)]
struct Fake {
    number: u32,
    refuses: u32,
    with: Option<Status>,
    asked: Arc<AtomicU32>,
}

#[tonic::async_trait]
impl WorkerService for Fake {
    async fn synchronize(
        &self,
        request: Request<v1::SynchronizeRequest>,
    ) -> Result<Response<v1::SynchronizeResponse>, Status> {
        assert_eq!(request.into_inner().worker_id, "one", "the message is the same every time");
        if self.asked.fetch_add(1, Ordering::Relaxed) < self.refuses {
            let status = self.with.clone();
            return Err(status.unwrap_or_else(|| Status::unavailable("nobody leads")));
        }
        let lease_ttl_ms = self.number;
        Ok(Response::new(v1::SynchronizeResponse { lease_ttl_ms, ..Default::default() }))
    }
}

async fn serve(fake: &Fake) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let service = WorkerServiceServer::new(fake.clone());
    let serving = Server::builder().add_service(service);
    tokio::spawn(serving.serve_with_incoming(TcpListenerStream::new(listener)));
    address
}

/// An address that nobody listens on.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

async fn ask(coordinators: &Coordinators) -> Result<u32, Status> {
    let request = v1::SynchronizeRequest { worker_id: "one".into(), ..Default::default() };
    let mut client = WorkerServiceClient::new(coordinators.clone());
    Ok(client.synchronize(request).await?.into_inner().lease_ttl_ms)
}

#[tokio::test]
async fn the_next_one_is_asked_and_stays_the_one() {
    let (standby, active) =
        (Fake { refuses: 9, ..Fake::default() }, Fake { number: 7, ..Fake::default() });
    let urls = [nobody().await, serve(&standby).await, serve(&active).await].join(", ");
    let coordinators = Coordinators::named(&urls, ClientTrust::default()).unwrap();
    assert!(coordinators.are_several());
    for _ in 0..3 {
        assert_eq!(ask(&coordinators).await.unwrap(), 7);
    }
    assert_eq!(standby.asked.load(Ordering::Relaxed), 1, "asked once, and not again");
    assert_eq!(active.asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn patience_ends() {
    let first = Fake { refuses: 2, number: 1, ..Fake::default() };
    let urls = [serve(&first).await, nobody().await].join(",");
    let coordinators = Coordinators::named(&urls, ClientTrust::default()).unwrap();
    assert_eq!(ask(&coordinators).await.unwrap_err().code(), Code::Unavailable);
    let patient = Coordinators::named(&urls, ClientTrust::default())
        .unwrap()
        .patient(Duration::from_secs(20));
    assert_eq!(ask(&patient).await.unwrap(), 1, "it was asked again");
    let urls = [nobody().await, nobody().await].join(",");
    let patient =
        Coordinators::named(&urls, ClientTrust::default()).unwrap().patient(Duration::from_secs(1));
    assert_eq!(ask(&patient).await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn an_answer_is_an_answer_and_one_alone_is_asked_once() {
    let details = tonic::codegen::Bytes::from_static(b"a failure");
    let failed = Status::with_details(Code::Unavailable, "no distribution point", details);
    let first = Fake { refuses: 1, with: Some(failed), ..Fake::default() };
    let second = Fake::default();
    let urls = [serve(&first).await, serve(&second).await].join(",");
    let coordinators = Coordinators::named(&urls, ClientTrust::default())
        .unwrap()
        .patient(Duration::from_secs(20));
    let told = ask(&coordinators).await.unwrap_err();
    assert_eq!(told.message(), "no distribution point");
    assert_eq!(second.asked.load(Ordering::Relaxed), 0);
    let alone = Fake { refuses: 9, ..Fake::default() };
    let coordinators = Coordinators::named(&serve(&alone).await, ClientTrust::default()).unwrap();
    assert!(ask(&coordinators.patient(Duration::from_secs(20))).await.is_err());
    assert_eq!(alone.asked.load(Ordering::Relaxed), 1);
}

/// It was called an unknown error of the transport. Found by the simulation.
#[tokio::test]
async fn a_connection_that_ends_in_the_middle_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut some = [0; 256];
            let _ = tokio::io::AsyncReadExt::read(&mut connection, &mut some).await;
        }
    });
    let coordinators = Coordinators::named(&url, ClientTrust::default()).unwrap();
    let told = ask(&coordinators).await.unwrap_err();
    assert_eq!(told.code(), Code::Unavailable, "{told:?}");
    assert!(told.message().starts_with("no coordinator answers: "), "{told:?}");
}

/// Takes whatever comes, and never says a word.
async fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            tokio::spawn(
                async move { tokio::io::copy(&mut connection, &mut tokio::io::sink()).await },
            );
        }
    });
    url
}

/// As workers call: one that holds a call back for longer than it was asked to is no coordinator.
#[tokio::test]
async fn a_deadline_that_passes_is_no_answer() {
    let second = Fake { number: 7, ..Fake::default() };
    let urls = [silent().await, serve(&second).await].join(",");
    let coordinators = Coordinators::named(&urls, ClientTrust::default()).unwrap();
    let message = v1::SynchronizeRequest { worker_id: "one".into(), ..Default::default() };
    let mut request = Request::new(message);
    request.set_timeout(Duration::from_millis(300));
    let mut client = WorkerServiceClient::new(coordinators);
    let answer = client.synchronize(request);
    let answer = tokio::time::timeout(Duration::from_secs(20), answer).await.unwrap();
    assert_eq!(answer.unwrap().into_inner().lease_ttl_ms, 7);
}

#[tokio::test]
async fn what_names_nobody_is_refused() {
    for wrong in ["", "http://a:7780,", "/a/path", "http://one two"] {
        assert!(Coordinators::named(wrong, ClientTrust::default()).is_err(), "{wrong}");
    }
}
