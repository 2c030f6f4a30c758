//! Something between a coordinator and its workers that keeps kinds of task from them.

use prestage_connect::Coordinators;
use prestage_proto::v1::{
    self,
    worker_service_client::WorkerServiceClient,
    worker_service_server::{WorkerService, WorkerServiceServer},
};
use prestage_trust::client::ClientTrust;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

struct Withholding {
    client: WorkerServiceClient<Coordinators>,
    kinds: &'static [&'static str],
}

#[tonic::async_trait]
impl WorkerService for Withholding {
    async fn synchronize(
        &self,
        request: Request<v1::SynchronizeRequest>,
    ) -> Result<Response<v1::SynchronizeResponse>, Status> {
        let mut request = request.into_inner();
        request.kinds.retain(|kind| !self.kinds.contains(&kind.as_str()));
        self.client.clone().synchronize(request).await
    }
}

/// An address for workers that seem not to know these kinds of task to the coordinator at `address`.
pub async fn withholding(address: &str, kinds: &'static [&'static str]) -> String {
    let url = format!("http://{address}");
    let coordinators = Coordinators::named(&url, ClientTrust::default()).unwrap();
    let service = Withholding { client: WorkerServiceClient::new(coordinators), kinds };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let incoming = TcpListenerStream::new(listener);
    let server = Server::builder().add_service(WorkerServiceServer::new(service));
    tokio::spawn(server.serve_with_incoming(incoming));
    at
}
