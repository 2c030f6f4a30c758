//! A worker that lies: it takes encode tasks and brings what is not what it should be.

use std::time::Duration;

use prestage_proto::v1;
use prestage_rogue::{Rogue, claim, encode_task, poison};
use prestage_store::{ObjectUrl, Objects, PackKey};
use tokio::time::sleep;

use crate::{hosts::Fleet, network};

/// It gives up after so many lies.
const LIES: usize = 4;

/// The liar, for as long as its process lives.
pub async fn liar(fleet: Fleet, host: String) -> turmoil::Result {
    let coordinators = network::coordinators(&fleet.coordinators);
    let mut rogue = Rogue::new(coordinators.patient(Duration::from_secs(5)), &host);
    let mut finished = None;
    let mut lies = 0;
    loop {
        let slots = if lies < LIES { 1 } else { 0 };
        let leases = rogue.ask(finished.take(), slots).await.unwrap_or_default();
        if let Some(lease) = leases.into_iter().next() {
            finished = lie(&fleet, &host, &lease).await;
            lies += 1;
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// Says that it has made a pack; which may be there and be wrong, be another one, or not be there at all.
async fn lie(fleet: &Fleet, host: &str, lease: &v1::Lease) -> Option<v1::Finished> {
    let task = encode_task(lease)?;
    let lie = fleet.world.draw(0..4);
    fleet.world.note(host, format_args!("tells lie {lie} of {}", lease.task_id));
    let mut index_sha256 = [7; 32];
    let mut pack_key = task.pack_key.clone();
    match lie {
        0 => index_sha256 = publish_poison(fleet, host, &task).await.unwrap_or(index_sha256),
        1 => pack_key = PackKey::of(b"something else").to_string(),
        2 => {}
        // It publishes what is wrong, and says nothing any more.
        _ => {
            publish_poison(fleet, host, &task).await;
            return None;
        }
    }
    let index_sha256 = index_sha256.to_vec().into();
    let pack = v1::PackResult { pack_key, index_sha256, made: true, ..Default::default() };
    Some(claim(lease, pack))
}

async fn publish_poison(fleet: &Fleet, host: &str, task: &v1::EncodeTask) -> Option<[u8; 32]> {
    let options = fleet.store.options(&fleet.world, host, 1);
    let url = ObjectUrl::parse(&fleet.objects()).ok()?;
    let objects = Objects::open_with(&url, &options).await.ok()?;
    poison(&objects, &fleet.disk(host), task).await.ok()
}
