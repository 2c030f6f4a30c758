//! The worker that lies, on this machine.

use std::path::Path;

use prestage_connect::Coordinators;
use prestage_proto::v1;
use prestage_store::{ObjectUrl, Objects};
use prestage_trust::client::ClientTrust;

/// Such a worker.
pub struct Rogue(prestage_rogue::Rogue);

impl Rogue {
    /// One that talks to a coordinator on this machine.
    pub fn new(address: &str, name: &str) -> Self {
        let url = format!("http://{address}");
        let coordinators = Coordinators::named(&url, ClientTrust::default()).unwrap();
        Self(prestage_rogue::Rogue::new(coordinators, name))
    }

    /// Waits for a lease on an encode task.
    pub async fn lease(&mut self) -> (v1::Lease, v1::EncodeTask) {
        self.0.lease().await.unwrap()
    }

    /// Brings a pack as the result of a lease, and takes nothing more.
    pub async fn bring(&mut self, lease: &v1::Lease, pack_key: &str) -> Vec<v1::Lease> {
        let pack = v1::PackResult { pack_key: pack_key.into(), ..Default::default() };
        self.0.bring(lease, pack).await.unwrap()
    }
}

/// Publishes a pack in a folder under a name that promises other bytes.
pub async fn poison(objects: &Path, staging: &Path, task: &v1::EncodeTask) {
    let objects = Objects::open(&ObjectUrl::Local(objects.to_owned())).await.unwrap();
    prestage_rogue::poison(&objects, staging, task).await.unwrap();
}
