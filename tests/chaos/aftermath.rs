//! What has to be true when the faults are over.

use std::{
    process::Child,
    time::{Duration, SystemTime},
};

use futures::TryStreamExt;
use object_store::ObjectStore;
use prestage_store::{Composer, ObjectKey};

use super::{
    rig::{OBJECTS, Rig},
    support::{files_below, fleet::wait_until, ok, prestage},
};

const MEDIUM_BYTES_MAX: u64 = 1 << 30;
/// KiB that a coordinator may have more in memory than when it was ready, at most.
const GROWTH_MAX: u64 = 64 << 10;
/// As long as uploads of packs may stay open that a killed worker has left: see `engine/reap.rs`.
const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 3600);

impl Rig {
    /// Waits for the build, and asserts that nothing of the faults is left.
    pub fn assert_undisturbed(mut self, mut build: Child) {
        self.mend_links();
        wait_until(|| build.try_wait().unwrap().is_some());
        let document = ok(&build.wait_with_output().unwrap());
        assert!(self.faults() > 0, "no fault fired");
        assert_eq!(document["state"], "done");
        eprintln!("{}", self.build_log());
        self.assert_medium();
        self.assert_no_leases();
        self.assert_nothing_left();
        for coordinator in &self.coordinators {
            let (before, now) = (coordinator.service.rss_when_ready, coordinator.service.rss());
            eprintln!("chaos: {}: {before} KiB, now {now} KiB", coordinator.service.name);
            assert!(now <= before + GROWTH_MAX, "{before} KiB have become {now} KiB");
        }
        for worker in &mut self.workers {
            worker.service.end();
        }
        for coordinator in &mut self.coordinators {
            coordinator.service.end();
        }
        // Nor has anything come back in the end.
        self.assert_nothing_left();
    }

    /// What the build says of itself, for whoever looks for what went wrong.
    pub fn build_log(&self) -> String {
        let active = self.active();
        let id = self.shown(active)["build_id"].as_str().unwrap_or_default().to_owned();
        let url = format!("http://{}", self.coordinators[active].address);
        let log = prestage(&self.demo, ["log", &id, "--coordinator", &url]);
        String::from_utf8_lossy(&log.stdout).into_owned()
    }

    /// Bit for bit what one process makes without faults.
    fn assert_medium(&self) {
        let medium = self.runtime.block_on(async {
            let media = self.seaweed.open("s3://media").await;
            let key = ObjectKey::new("out.wim").unwrap();
            media.get(&key, MEDIUM_BYTES_MAX).await.unwrap()
        });
        assert!(medium == self.expected, "the medium is another");
    }

    fn assert_no_leases(&self) {
        let active = self.active();
        let shown = self.shown(active);
        assert_eq!(shown["state"], "done");
        for task in shown["tasks"].as_array().unwrap() {
            assert_eq!(task["state"], "done", "{task}");
        }
        let coordinator = &self.coordinators[active];
        let busy = "prestage_worker_slots{state=\"busy\"}";
        wait_until(|| self.metric(coordinator, busy) == Some(0.0));
    }

    /// No temporary file, no object of a build, no marker of a composition, no open upload.
    pub fn assert_nothing_left(&self) {
        for worker in &self.workers {
            wait_until(|| files_below(&worker.staging).is_empty());
        }
        wait_until(|| self.keys("packs").iter().all(|key| !key.contains("/builds/")));
        wait_until(|| self.keys("media").iter().all(|key| !key.contains(".prestage/")));
        self.runtime.block_on(self.assert_no_uploads());
    }

    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let client = self.seaweed.client(bucket);
        let listed = client.list(None).map_ok(|object| object.location.to_string());
        self.runtime.block_on(listed.try_collect()).unwrap()
    }

    /// A killed worker can't close the upload of a pack; the coordinator does so a day later, by this.
    async fn assert_no_uploads(&self) {
        let media = self.seaweed.open_uploads("media").await;
        // The marker of each is gone, and goes last.
        assert!(media.is_empty(), "open: {media:?}");
        let tomorrow = SystemTime::now() + ABANDONED_AFTER + Duration::from_secs(60);
        let (composer, objects) =
            (Composer::new(self.seaweed.options()), self.seaweed.open(OBJECTS).await);
        composer.reap_uploads(&objects, ABANDONED_AFTER, tomorrow).await.unwrap();
        let packs = self.seaweed.open_uploads("packs").await;
        assert!(packs.is_empty(), "open: {packs:?}");
    }
}
