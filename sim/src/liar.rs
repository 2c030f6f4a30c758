//! A worker that lies: it takes encode tasks and brings what is not what it should be.

use std::{path::PathBuf, time::Duration};

use prestage_connect::Coordinators;
use prestage_proto::v1::{
    self, finished::Outcome, task::Work, task_result, worker_service_client::WorkerServiceClient,
};
use prestage_store::{
    ObjectUrl, Objects, PackKey,
    pack::{PackContents, PackFacts, PackIndex, ResourceEntry},
};
use prost::Message;
use tokio::time::sleep;

use crate::{hosts::Fleet, network};

/// It gives up after so many lies.
const LIES: usize = 4;
const MESSAGE_BYTES: usize = 64 << 20;

struct Liar {
    fleet: Fleet,
    host: String,
    client: WorkerServiceClient<Coordinators>,
}

/// The liar, for as long as its process lives.
pub async fn liar(fleet: Fleet, host: String) -> turmoil::Result {
    let coordinators = network::coordinators(&fleet.coordinators);
    let client = WorkerServiceClient::new(coordinators.patient(Duration::from_secs(5)))
        .max_decoding_message_size(MESSAGE_BYTES);
    let mut liar = Liar { fleet, host, client };
    let mut finished = None;
    let mut lies = 0;
    loop {
        let leases = liar.ask(finished.take(), if lies < LIES { 1 } else { 0 }).await;
        if let Some(lease) = leases.into_iter().next() {
            finished = liar.lie(&lease).await;
            lies += 1;
        }
        sleep(Duration::from_millis(500)).await;
    }
}

impl Liar {
    async fn ask(&mut self, finished: Option<v1::Finished>, slots: u32) -> Vec<v1::Lease> {
        let request = v1::SynchronizeRequest {
            worker_id: format!("{}.liar", self.host),
            worker_name: self.host.clone(),
            slots,
            kinds: vec!["encode".into()],
            finished: finished.into_iter().collect(),
            ..Default::default()
        };
        let answer = self.client.synchronize(request).await;
        answer.map(|answer| answer.into_inner().desired).unwrap_or_default()
    }

    /// Says that it has made a pack; which may be there and be wrong, be another one, or not be there at all.
    async fn lie(&self, lease: &v1::Lease) -> Option<v1::Finished> {
        let Some(Work::Encode(task)) = v1::Task::decode(lease.task.clone()).ok()?.work else {
            return None;
        };
        let lie = self.fleet.world.draw(0..4);
        self.fleet.world.note(&self.host, format_args!("tells lie {lie} of {}", lease.task_id));
        let mut index_sha256 = vec![7; 32];
        let mut pack_key = task.pack_key.clone();
        match lie {
            0 => index_sha256 = self.poison(&task).await.unwrap_or(index_sha256),
            1 => pack_key = PackKey::of(b"something else").to_string(),
            2 => {}
            // It publishes what is wrong, and says nothing any more.
            _ => {
                let _ = self.poison(&task).await;
                return None;
            }
        }
        let pack = v1::PackResult {
            pack_key,
            index_sha256: index_sha256.into(),
            made: true,
            ..Default::default()
        };
        let work = Some(task_result::Work::Pack(pack));
        let result = v1::TaskResult { work, ..Default::default() };
        Some(v1::Finished {
            task_id: lease.task_id.clone(),
            generation: lease.generation,
            outcome: Some(Outcome::Result(result.encode_to_vec().into())),
        })
    }

    /// Publishes a pack under a name that promises other bytes; gives the digest of its index.
    async fn poison(&self, task: &v1::EncodeTask) -> Option<Vec<u8>> {
        let options = self.fleet.store.options(&self.fleet.world, &self.host, 1);
        let url = ObjectUrl::parse(&self.fleet.objects()).ok()?;
        let objects = Objects::open_with(&url, &options).await.ok()?;
        let staging: PathBuf = self.fleet.disk(&self.host);
        let body = b"not what it says";
        let mut writer = objects.pack_writer(&staging).ok()?;
        writer.append(body).ok()?;
        let pack = writer.finish().ok()?;
        let resource = |file: &v1::ListedFile| {
            Some(ResourceEntry {
                sha1: [1; 20],
                sha256: Some(file.sha256[..].try_into().ok()?),
                offset: 0,
                stored_bytes: body.len() as u64,
                original_bytes: body.len() as u64,
                compressed: false,
            })
        };
        let contents = PackContents {
            pack_bytes: body.len() as u64,
            chunk_digests: pack.chunk_digests().to_vec(),
            resources: task.files.iter().take(1).filter_map(resource).collect(),
            facts: PackFacts::default(),
            ..PackContents::default()
        };
        let key: PackKey = task.pack_key.parse().ok()?;
        let index = PackIndex::new(&task.pack_key, contents).ok()?;
        let published = objects.publish_pack(&key, pack, &index).await.ok()?;
        Some(published.index_sha256.to_vec())
    }
}
