//! Something between workers and coordinators that passes calls on: now and then twice, the second time late,
//! and sometimes without the answer.

use std::time::Duration;

use prestage_connect::Coordinators;
use prestage_proto::v1::{
    self,
    worker_service_client::WorkerServiceClient,
    worker_service_server::{WorkerService, WorkerServiceServer},
};
use tokio::time::sleep;
use tonic::{Request, Response, Status, transport::Server};

use crate::{hosts::Fleet, network, world::World};

/// Of a hundred calls.
const DOUBLED: f64 = 15.0;
const LOST_ANSWERS: f64 = 5.0;
/// A call that comes once more does so within this time.
const LATE_MILLIS: u64 = 4000;

struct Relay {
    client: WorkerServiceClient<Coordinators>,
    world: World,
}

/// The relay, for as long as its process lives.
pub async fn relay(fleet: Fleet) -> turmoil::Result {
    let coordinators = network::coordinators(&fleet.coordinators);
    let client = WorkerServiceClient::new(coordinators.patient(Duration::from_secs(5)));
    let relay = Relay { client, world: fleet.world };
    let server = Server::builder().add_service(WorkerServiceServer::new(relay));
    Ok(server.serve_with_incoming(network::incoming().await?).await?)
}

#[tonic::async_trait]
impl WorkerService for Relay {
    async fn synchronize(
        &self,
        request: Request<v1::SynchronizeRequest>,
    ) -> Result<Response<v1::SynchronizeResponse>, Status> {
        let request = request.into_inner();
        if self.world.happens(DOUBLED) {
            self.again(request.clone());
        }
        let answer = self.client.clone().synchronize(request).await;
        if answer.is_ok() && self.world.happens(LOST_ANSWERS) {
            self.world.note("relay", format_args!("an answer is lost"));
            return Err(Status::unavailable("lost: simulated"));
        }
        answer
    }
}

impl Relay {
    fn again(&self, request: v1::SynchronizeRequest) {
        let (mut client, world) = (self.client.clone(), self.world.clone());
        tokio::spawn(async move {
            sleep(Duration::from_millis(world.draw(0..LATE_MILLIS))).await;
            let who = request.worker_id.clone();
            let answer = client.synchronize(request).await;
            let code = answer.err().map(|status| status.code());
            world.note("relay", format_args!("what {who} said comes once more: {code:?}"));
        });
    }
}
