//! Packs that must not be used any more. The decision is written down where all coordinators look that share
//! the packs, and only then the build hears of it; what follows from it may be done by whoever is next.

use std::collections::BTreeSet;

use prestage_proto::v1;
use prestage_store::quarantine::Doubt;
use tokio::task::JoinSet;

use super::Engine;
use crate::{numbers, pipeline::PipelineError, schedule::TaskRef};

/// Decisions that are being written down, away from the engine: a store may take its time.
#[derive(Default)]
pub(super) struct Deciding {
    under_way: JoinSet<Decided>,
    tasks: BTreeSet<TaskRef>,
}

/// What became of one.
pub(super) struct Decided {
    task: TaskRef,
    pack_key: String,
    doubt: Doubt,
    failure: v1::Failure,
    written: Result<(), PipelineError>,
}

impl Deciding {
    /// The next one that is over; never, while there is none.
    pub async fn next(&mut self) -> Decided {
        loop {
            match self.under_way.join_next().await {
                Some(Ok(decided)) => return decided,
                // One that panicked has said so; its worker tells its result again.
                Some(Err(_)) => self.tasks.clear(),
                None => std::future::pending().await,
            }
        }
    }
}

impl Engine {
    /// The pack that a worker says was replaced, if its build has such a one.
    pub(super) fn replaced_pack(&self, task: &TaskRef, failure: &v1::Failure) -> Option<String> {
        let mut tasks = self.scheduler.tasks(&task.build_id);
        let named = &failure.replaced_pack;
        let is_ours = !named.is_empty() && tasks.any(|task| task.record.work_key == *named);
        is_ours.then(|| named.clone())
    }

    /// Puts a pack into quarantine, then fails the build for it.
    pub(super) fn condemn(
        &mut self,
        task: &TaskRef,
        pack_key: String,
        doubt: Doubt,
        failure: v1::Failure,
    ) {
        // The worker repeats its result until the lease is over.
        if !self.deciding.tasks.insert(task.clone()) {
            return;
        }
        tracing::error!(pack_key, what = failure.what, "a pack is put into quarantine");
        let (pipeline, task) = (self.pipeline.clone(), task.clone());
        self.deciding.under_way.spawn(async move {
            let written = pipeline.quarantine(&pack_key, doubt, &failure.what).await;
            Decided { task, pack_key, doubt, failure, written }
        });
    }

    pub(super) async fn condemned(&mut self, decided: Decided) {
        let Decided { task, pack_key, doubt, failure, written } = decided;
        self.deciding.tasks.remove(&task);
        if let Err(error) = written {
            tracing::error!(pack_key, %error, "the quarantine can't be written down yet");
            return;
        }
        if doubt == Doubt::Disputed {
            numbers::count_poisoned();
        }
        if let Err(error) = self.fail(&task, failure).await {
            tracing::error!(%error, "a failed build could not be written down yet");
        }
        let pipeline = self.pipeline.clone();
        self.clean_up.spawn(async move {
            if let Err(error) = pipeline.carry_out_quarantine().await {
                tracing::error!(pack_key, %error, "a pack in quarantine could not be removed yet");
            }
        });
    }
}
