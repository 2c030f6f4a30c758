//! State in memory: for tests and simulation.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use prestage_proto::v1;
use time::OffsetDateTime;

use super::{
    BuildWithTasks, Candidate, Created, Epoch, Leadership, StateError, StateStore, may_end,
    memory_identities::Identities,
};
use crate::{
    audit::{AuditEntry, AuditRecord, ChainHash},
    clock::{Clock, SystemClock},
    events::{BuildEvent, Happening},
    records::{BuildRecord, BuildState, NewTask},
    schedule::TaskRef,
};

/// A state that ends with the process.
#[derive(Clone)]
pub struct MemoryState {
    kept: Arc<Mutex<Kept>>,
    clock: Arc<dyn Clock>,
    /// Which everything is written in.
    epoch: Epoch,
}

#[derive(Default)]
pub(super) struct Kept {
    builds: BTreeMap<String, BuildWithTasks>,
    events: Vec<BuildEvent>,
    audit: Vec<AuditEntry>,
    lead: Lead,
    pub(super) identities: Identities,
}

struct Lead {
    epoch: Epoch,
    holder: Option<Candidate>,
    expires: Duration,
}

impl Default for Lead {
    fn default() -> Self {
        // Not of those who never took it.
        Self { epoch: Epoch(1), holder: None, expires: Duration::ZERO }
    }
}

impl Default for MemoryState {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock::new()))
    }
}

impl MemoryState {
    /// Nothing is kept yet. The lead expires by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { kept: Arc::default(), clock, epoch: Epoch::NONE }
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept, for the leader.
    pub(super) fn fenced(&self) -> Result<MutexGuard<'_, Kept>, StateError> {
        let kept = self.kept();
        if kept.lead.epoch == self.epoch { Ok(kept) } else { Err(StateError::Deposed) }
    }
}

#[async_trait]
impl StateStore for MemoryState {
    fn led(&self, epoch: Epoch) -> Arc<dyn StateStore> {
        Arc::new(Self { epoch, ..self.clone() })
    }

    async fn take_lead(
        &self,
        candidate: &Candidate,
        ttl: Duration,
    ) -> Result<Leadership, StateError> {
        let now = self.clock.monotonic();
        let lead = &mut self.kept().lead;
        if let Some(holder) = &lead.holder
            && holder.name != candidate.name
            && lead.expires > now
        {
            return Ok(Leadership::Standby { leader: holder.address.clone() });
        }
        let epoch = Epoch(lead.epoch.0 + 1);
        *lead = Lead { epoch, holder: Some(candidate.clone()), expires: now + ttl };
        Ok(Leadership::Active { epoch })
    }

    async fn keep_lead(&self, epoch: Epoch, ttl: Duration) -> Result<(), StateError> {
        let lead = &mut self.kept().lead;
        if lead.epoch != epoch {
            return Err(StateError::Deposed);
        }
        lead.expires = self.clock.monotonic() + ttl;
        Ok(())
    }

    async fn resign(&self, epoch: Epoch) -> Result<(), StateError> {
        let lead = &mut self.kept().lead;
        if lead.epoch == epoch {
            *lead = Lead { epoch: Epoch(epoch.0 + 1), ..Lead::default() };
        }
        Ok(())
    }

    async fn leader(&self) -> Result<Option<String>, StateError> {
        let now = self.clock.monotonic();
        let lead = &self.kept().lead;
        let holder = lead.holder.as_ref().filter(|_| lead.expires > now);
        Ok(holder.map(|holder| holder.address.clone()))
    }

    async fn create_build(
        &self,
        build: &BuildRecord,
        tasks: &[NewTask],
    ) -> Result<Created, StateError> {
        let builds = &mut self.fenced()?.builds;
        let same = builds.values().find(|(known, _)| known.request_id == build.request_id);
        if let Some((known, _)) = same {
            return Ok(Created::Existing(known.build_id.clone()));
        }
        builds.insert(build.build_id.clone(), (build.clone(), tasks.to_vec()));
        Ok(Created::New)
    }

    async fn note(&self, events: &[BuildEvent]) -> Result<(), StateError> {
        let mut kept = self.fenced()?;
        for event in events {
            let Some((_, tasks)) = kept.builds.get_mut(&event.build_id) else {
                continue;
            };
            if let Happening::Leased { task_id, generation, .. } = &event.what {
                for task in tasks.iter_mut().filter(|task| task.task_id == *task_id) {
                    task.generation = *generation;
                }
            }
            kept.events.push(event.clone());
        }
        Ok(())
    }

    async fn makers(&self, work_key: &str) -> Result<BTreeSet<String>, StateError> {
        let kept = self.kept();
        let is_made = |build_id: &str, task_id: &str| {
            let tasks = kept.builds.get(build_id).map(|(_, tasks)| tasks);
            let mut made = tasks.into_iter().flatten().filter(|task| task.kind == "encode");
            made.any(|task| task.task_id == task_id && task.work_key == work_key)
        };
        let maker = |event: &BuildEvent| match &event.what {
            Happening::Leased { task_id, worker, .. } if is_made(&event.build_id, task_id) => {
                Some(worker.clone())
            }
            _ => None,
        };
        Ok(kept.events.iter().filter_map(maker).collect())
    }

    async fn finish_task(
        &self,
        task: &TaskRef,
        at: OffsetDateTime,
        result: &v1::TaskResult,
        follow_up: &[NewTask],
    ) -> Result<Option<v1::TaskResult>, StateError> {
        let mut kept = self.fenced()?;
        let Some((_, tasks)) = kept.builds.get_mut(&task.build_id) else {
            return Ok(None);
        };
        let known = tasks.iter_mut().find(|known| known.task_id == task.task_id);
        let is_first = match known.map(|known| &mut known.result) {
            Some(Some(earlier)) if earlier != result => return Ok(Some(earlier.clone())),
            Some(kept @ None) => {
                *kept = Some(result.clone());
                true
            }
            _ => false,
        };
        for new in follow_up {
            if !tasks.iter().any(|task| task.task_id == new.task_id) {
                tasks.push(new.clone());
            }
        }
        tasks.sort_by(|a, b| a.task_id.cmp(&b.task_id));
        if is_first {
            let what = Happening::Done { task_id: task.task_id.clone() };
            kept.events.push(BuildEvent { build_id: task.build_id.clone(), at, what });
        }
        Ok(None)
    }

    async fn events(&self, build_id: &str) -> Result<Vec<BuildEvent>, StateError> {
        let kept = self.kept();
        Ok(kept.events.iter().filter(|event| event.build_id == build_id).cloned().collect())
    }

    async fn end_build(&self, build: &BuildRecord) -> Result<(), StateError> {
        if let Some((known, _)) = self.fenced()?.builds.get_mut(&build.build_id)
            && may_end(known.state)
        {
            *known = build.clone();
        }
        Ok(())
    }

    async fn rewrap_plan(&self, build_id: &str, plan_json: &[u8]) -> Result<(), StateError> {
        if let Some((known, _)) = self.fenced()?.builds.get_mut(build_id)
            && may_end(known.state)
        {
            known.plan_json = plan_json.to_vec();
        }
        Ok(())
    }

    async fn running(&self) -> Result<Vec<BuildWithTasks>, StateError> {
        let builds = &self.kept().builds;
        let running = builds.values().filter(|(build, _)| build.state == BuildState::Running);
        Ok(running.cloned().collect())
    }

    async fn build(&self, build_id: &str) -> Result<Option<BuildWithTasks>, StateError> {
        Ok(self.kept().builds.get(build_id).cloned())
    }

    async fn list(&self, after: &str, limit: u32) -> Result<Vec<BuildRecord>, StateError> {
        let builds = &self.kept().builds;
        let mut list: Vec<BuildRecord> = builds.values().map(|(build, _)| build.clone()).collect();
        list.sort_by(|a, b| (b.created, &b.build_id).cmp(&(a.created, &a.build_id)));
        let skip = list.iter().position(|build| build.build_id == after).map_or(0, |at| at + 1);
        Ok(list.into_iter().skip(skip).take(limit as usize).collect())
    }

    async fn append_audit(&self, record: &AuditRecord) -> Result<u64, StateError> {
        let audit = &mut self.kept().audit;
        let (number, hash) = audit.last().map_or((0, ChainHash::NONE), |e| (e.number, e.hash));
        audit.push(AuditEntry::following(number, hash, record));
        Ok(number + 1)
    }

    async fn audit(&self, after: u64, limit: u32) -> Result<Vec<AuditEntry>, StateError> {
        let kept = self.kept();
        let after = kept.audit.iter().filter(|entry| entry.number > after);
        Ok(after.take(limit as usize).cloned().collect())
    }
}
