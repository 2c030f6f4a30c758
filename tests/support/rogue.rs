//! A worker that speaks the protocol and has a mind of its own.

use std::time::Duration;

use prestage_connect::Coordinators;
use prestage_proto::v1::{
    self, finished::Outcome, task::Work, task_result, worker_service_client::WorkerServiceClient,
};
use prestage_trust::client::ClientTrust;
use prost::Message;

/// Such a worker.
pub struct Rogue {
    client: WorkerServiceClient<Coordinators>,
    name: &'static str,
}

impl Rogue {
    /// One that talks to a coordinator on this machine.
    pub fn new(address: &str, name: &'static str) -> Self {
        let url = format!("http://{address}");
        let coordinators = Coordinators::named(&url, ClientTrust::default()).unwrap();
        Self { client: WorkerServiceClient::new(coordinators), name }
    }

    /// Says what it has done, if anything, and asks for an encode task.
    async fn ask(&mut self, finished: Option<v1::Finished>, slots: u32) -> Vec<v1::Lease> {
        let request = v1::SynchronizeRequest {
            worker_id: format!("id of {}", self.name),
            worker_name: self.name.to_owned(),
            slots,
            kinds: vec!["encode".into()],
            finished: finished.into_iter().collect(),
            ..Default::default()
        };
        self.client.synchronize(request).await.unwrap().into_inner().desired
    }

    /// Waits for a lease on an encode task.
    pub async fn lease(&mut self) -> (v1::Lease, v1::EncodeTask) {
        for _ in 0..600 {
            if let Some(lease) = self.ask(None, 1).await.pop()
                && let Some(Work::Encode(task)) = v1::Task::decode(lease.task.clone()).unwrap().work
            {
                return (lease, task);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("there was nothing to do");
    }

    /// Brings a pack as the result of a lease, and takes nothing more.
    pub async fn bring(&mut self, lease: &v1::Lease, pack_key: &str) -> Vec<v1::Lease> {
        let pack = v1::PackResult { pack_key: pack_key.into(), ..Default::default() };
        let work = Some(task_result::Work::Pack(pack));
        let result = v1::TaskResult { work, ..Default::default() };
        let finished = v1::Finished {
            task_id: lease.task_id.clone(),
            generation: lease.generation,
            outcome: Some(Outcome::Result(result.encode_to_vec().into())),
        };
        self.ask(Some(finished), 0).await
    }
}
