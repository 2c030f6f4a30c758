//! A worker that speaks the protocol and has a mind of its own: for tests, and for the simulation.

use std::{path::Path, time::Duration};

use prestage_connect::Coordinators;
use prestage_proto::v1::{
    self, finished::Outcome, task::Work, task_result, worker_service_client::WorkerServiceClient,
};
use prestage_store::{
    Objects, PackKey,
    pack::{PackContents, PackFacts, PackIndex, ResourceEntry, Sha256Digest},
};
use prost::Message;
use tonic::Status;

/// As for any worker.
const MESSAGE_BYTES: usize = 64 << 20;
/// What is in a poisoned pack.
const POISON: &[u8] = b"not what it says";

/// Such a worker.
pub struct Rogue {
    client: WorkerServiceClient<Coordinators>,
    name: String,
}

impl Rogue {
    /// One of this name.
    pub fn new(coordinators: Coordinators, name: &str) -> Self {
        let client =
            WorkerServiceClient::new(coordinators).max_decoding_message_size(MESSAGE_BYTES);
        Self { client, name: name.to_owned() }
    }

    /// Says what it has done, if anything, and asks for encode tasks for so many slots.
    ///
    /// # Errors
    /// What the coordinator answers, or that it does not.
    pub async fn ask(
        &mut self,
        finished: Option<v1::Finished>,
        slots: u32,
    ) -> Result<Vec<v1::Lease>, Status> {
        let request = v1::SynchronizeRequest {
            worker_id: format!("id of {}", self.name),
            worker_name: self.name.clone(),
            slots,
            kinds: vec!["encode".into()],
            finished: finished.into_iter().collect(),
            ..Default::default()
        };
        Ok(self.client.synchronize(request).await?.into_inner().desired)
    }

    /// Waits for a lease on an encode task, for half a minute.
    ///
    /// # Errors
    /// What the coordinator answers, or that there was nothing to do.
    pub async fn lease(&mut self) -> Result<(v1::Lease, v1::EncodeTask), Status> {
        for _ in 0..600 {
            if let Some(lease) = self.ask(None, 1).await?.pop()
                && let Some(task) = encode_task(&lease)
            {
                return Ok((lease, task));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(Status::not_found("there was nothing to do"))
    }

    /// Brings a pack as the result of a lease, and takes nothing more.
    ///
    /// # Errors
    /// What the coordinator answers.
    pub async fn bring(
        &mut self,
        lease: &v1::Lease,
        pack: v1::PackResult,
    ) -> Result<Vec<v1::Lease>, Status> {
        self.ask(Some(claim(lease, pack)), 0).await
    }
}

/// The encode task of a lease, if it is one.
pub fn encode_task(lease: &v1::Lease) -> Option<v1::EncodeTask> {
    match v1::Task::decode(lease.task.clone()).ok()?.work {
        Some(Work::Encode(task)) => Some(task),
        _ => None,
    }
}

/// Says that a lease has come to this pack.
pub fn claim(lease: &v1::Lease, pack: v1::PackResult) -> v1::Finished {
    let work = Some(task_result::Work::Pack(pack));
    let result = v1::TaskResult { work, ..Default::default() };
    v1::Finished {
        task_id: lease.task_id.clone(),
        generation: lease.generation,
        outcome: Some(Outcome::Result(result.encode_to_vec().into())),
    }
}

/// Publishes a pack under a name that promises other bytes; gives the digest of its index.
///
/// # Errors
/// Whatever keeps it from doing so.
pub async fn poison(
    objects: &Objects,
    staging: &Path,
    task: &v1::EncodeTask,
) -> Result<Sha256Digest, Box<dyn std::error::Error + Send + Sync>> {
    let mut writer = objects.pack_writer(staging)?;
    writer.append(POISON)?;
    let pack = writer.finish()?;
    let mut resources = Vec::new();
    if let Some(file) = task.files.first() {
        resources.push(ResourceEntry {
            sha1: [1; 20],
            sha256: Some(file.sha256[..].try_into()?),
            offset: 0,
            stored_bytes: POISON.len() as u64,
            original_bytes: POISON.len() as u64,
            compressed: false,
        });
    }
    let contents = PackContents {
        pack_bytes: POISON.len() as u64,
        chunk_digests: pack.chunk_digests().to_vec(),
        resources,
        facts: PackFacts::default(),
        ..PackContents::default()
    };
    let key: PackKey = task.pack_key.parse()?;
    let index = PackIndex::new(&task.pack_key, contents)?;
    Ok(objects.publish_pack(&key, pack, &index).await?.index_sha256)
}
