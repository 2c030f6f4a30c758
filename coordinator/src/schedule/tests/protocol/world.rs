//! What may happen next.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    super::TaskRef,
    sides::{
        Brought, Coordinator, Durable, LeaseId, NOW, Worker, brought, digits, number, task_ref,
        worker_name,
    },
};

#[derive(Clone, Debug, PartialEq, Hash)]
pub struct World {
    pub durable: Durable,
    pub coordinators: Vec<Option<Arc<Coordinator>>>,
    pub workers: Vec<Worker>,
    pub network: BTreeSet<Message>,
    /// So many more faults may happen.
    pub faults: u8,
    /// Who has ever heard that it has a lease.
    pub heard: BTreeMap<LeaseId, usize>,
    pub wrong: BTreeSet<&'static str>,
    /// A request arrived that its worker had given up by then.
    pub overtaken: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Message {
    Request { from: usize, to: usize, said: Said, late: bool },
    Answer { to: usize, desired: BTreeSet<LeaseId> },
}

/// A request's running, stopping and finished leases.
pub type Said = [BTreeSet<LeaseId>; 3];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Call {
        worker: usize,
        coordinator: usize,
    },
    Deliver {
        message: Message,
        again: bool,
        database: Database,
    },
    Drop(Message),
    Ends {
        worker: usize,
        lease: LeaseId,
    },
    Stops {
        worker: usize,
        lease: LeaseId,
    },
    /// Nobody has answered it for as long as leases live.
    GivesUp {
        worker: usize,
    },
    /// Killed, and started anew.
    Kill {
        worker: usize,
    },
    Lose {
        coordinator: usize,
        worker: usize,
    },
    StopKeeping {
        coordinator: usize,
    },
    Crash {
        coordinator: usize,
    },
    TakeLead {
        coordinator: usize,
    },
    Cancel {
        coordinator: usize,
        task: usize,
    },
}

/// What the database does with the writes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    Works,
    /// One of them, by its number, fails; it is written all the same, or not.
    Fails {
        write: u8,
        written: bool,
    },
}

/// An engine's call is over: the write failed, or another one leads.
enum Broken {
    Failed,
    Deposed,
}

impl World {
    pub fn wrong(&mut self, what: &'static str) {
        self.wrong.insert(what);
    }

    pub fn leads(&self, coordinator: usize) -> bool {
        let epoch = self.coordinators[coordinator].as_ref().map(|leader| leader.epoch);
        epoch == Some(self.durable.epoch)
    }

    /// Sends what a worker has to say. What it said before and is still under way comes late.
    pub fn call(&mut self, from: usize, to: usize) {
        self.hang_up(from);
        let worker = &mut self.workers[from];
        worker.calls = true;
        let said = [worker.running.clone(), worker.stopping.clone(), worker.finished.clone()];
        self.network.insert(Message::Request { from, to, said, late: false });
    }

    /// A worker drops its call: the request may still arrive, the answer finds nobody. Of several such requests
    /// only the newest does.
    pub fn hang_up(&mut self, worker: usize) {
        self.workers[worker].calls = false;
        let network = std::mem::take(&mut self.network);
        let calls = |message: &Message| matches!(message, Message::Request { from, late: false, .. } if *from == worker);
        let newer = network.iter().any(calls);
        let network = network.into_iter().filter(|message| {
            !(newer
                && matches!(message, Message::Request { from, late: true, .. } if *from == worker))
        });
        self.network = network
            .filter(|message| !matches!(message, Message::Answer { to, .. } if *to == worker))
            .map(|message| match message {
                Message::Request { from, to, said, .. } if from == worker => {
                    Message::Request { from, to, said, late: true }
                }
                other => other,
            })
            .collect();
    }

    pub fn deliver(&mut self, message: &Message, again: bool, database: Database) -> bool {
        self.network.remove(message);
        match message {
            Message::Answer { to, desired } => {
                self.workers[*to].calls = false;
                self.workers[*to].follow(desired);
                for lease in desired {
                    if self.heard.insert(*lease, *to).is_some_and(|before| before != *to) {
                        self.wrong("a generation was given out twice");
                    }
                }
                true
            }
            Message::Request { from, to, said, late } => {
                if again {
                    let (from, to, said) = (*from, *to, said.clone());
                    self.network.insert(Message::Request { from, to, said, late: true });
                }
                self.answer(*from, *to, said, *late, database)
            }
        }
    }

    fn answer(
        &mut self,
        from: usize,
        to: usize,
        said: &Said,
        late: bool,
        database: Database,
    ) -> bool {
        self.overtaken |= late;
        let Some(mut coordinator) = self.coordinators[to].take().map(Arc::unwrap_or_clone) else {
            if !late {
                self.workers[from].calls = false;
            }
            return database == Database::Works;
        };
        let mut writes = Writes { database, done: 0 };
        let before = (self.leads_in(coordinator.epoch), self.durable.clone());
        let outcome = self.synchronize(&mut coordinator, from, said, &mut writes);
        if !before.0 && before.1 != self.durable {
            self.wrong("a deposed coordinator changed something");
        }
        match outcome {
            Ok(()) if !late => {
                let desired = coordinator.desired(from);
                self.network.insert(Message::Answer { to: from, desired });
            }
            Ok(()) => {}
            Err(_) if !late => self.workers[from].calls = false,
            Err(_) => {}
        }
        // One that learns that another one leads stops at once.
        if !matches!(outcome, Err(Broken::Deposed)) {
            self.coordinators[to] = Some(coordinator.changed());
        }
        // A database that fails at a write that is not done is one that works.
        !matches!(database, Database::Fails { write, .. } if write >= writes.done)
    }

    fn leads_in(&self, epoch: u8) -> bool {
        epoch == self.durable.epoch
    }

    /// As `Engine::synchronize` does it.
    fn synchronize(
        &mut self,
        coordinator: &mut Coordinator,
        from: usize,
        said: &Said,
        writes: &mut Writes,
    ) -> Result<(), Broken> {
        let [running, stopping, finished] = said.clone();
        let request = Worker { running, stopping, finished, calls: true }.request(from);
        let outcome = coordinator.fleet.synchronize(&request, NOW);
        if !outcome.failed.is_empty() {
            self.wrong("a task was given up");
        }
        for (task, result) in &outcome.finished {
            let (counts, same) = self.finish(coordinator, task, brought(result), writes)?;
            for task in same {
                self.finish(coordinator, &task, counts, writes)?;
            }
        }
        let granted = coordinator.fleet.grant(&worker_name(from), NOW);
        if granted.is_empty() {
            return Ok(());
        }
        let written = writes.write(coordinator.epoch, &mut self.durable, |durable| {
            for (task, generation) in &granted {
                durable.tasks[number(task)].generation = *generation;
            }
        });
        if written.is_err() {
            coordinator.fleet.revoke(&worker_name(from), &granted, NOW);
        }
        written
    }

    /// As `Engine::finish_one` does it; gives the result that counts.
    fn finish(
        &mut self,
        coordinator: &mut Coordinator,
        task: &TaskRef,
        brought: Brought,
        writes: &mut Writes,
    ) -> Result<(Brought, Vec<TaskRef>), Broken> {
        let (at, (worker, lease)) = (number(task), brought);
        let newest = self.durable.tasks[lease.0].generation;
        let is_live = self.heard.get(&lease) == Some(&worker) && newest == lease.1;
        if self.leads_in(coordinator.epoch) && !is_live {
            self.wrong("a result counts under a lease that is not live");
        }
        let mut counts = brought;
        writes.write(coordinator.epoch, &mut self.durable, |durable| {
            counts = *durable.tasks[at].result.get_or_insert(brought);
        })?;
        let bytes_read = digits(counts);
        let result = prestage_proto::v1::TaskResult { bytes_read, ..Default::default() };
        Ok((counts, coordinator.fleet.finish(task, &result, NOW)))
    }

    /// Changes a coordinator, if it is there and there is anything to change.
    pub fn change(&mut self, at: usize, change: impl FnOnce(&mut Coordinator) -> bool) -> bool {
        let Some(mut coordinator) = self.coordinators[at].take().map(Arc::unwrap_or_clone) else {
            return false;
        };
        let changed = change(&mut coordinator);
        self.coordinators[at] = Some(coordinator.changed());
        changed
    }

    /// A build is cancelled: durable first.
    pub fn cancel(&mut self, at: usize, task: usize) {
        let leads = self.leads(at);
        if !leads {
            self.coordinators[at] = None;
            return;
        }
        self.durable.tasks[task].ended = true;
        self.change(at, |coordinator| {
            coordinator.fleet.remove_build(&task_ref(task).build_id, NOW);
            true
        });
    }
}

struct Writes {
    database: Database,
    done: u8,
}

impl Writes {
    /// A transaction, fenced by the epoch.
    fn write(
        &mut self,
        epoch: u8,
        durable: &mut Durable,
        change: impl FnOnce(&mut Durable),
    ) -> Result<(), Broken> {
        let number = self.done;
        self.done += 1;
        match self.database {
            Database::Fails { write, written: false } if write == number => Err(Broken::Failed),
            _ if epoch != durable.epoch => Err(Broken::Deposed),
            Database::Fails { write, .. } if write == number => {
                change(durable);
                Err(Broken::Failed)
            }
            _ => {
                change(durable);
                Ok(())
            }
        }
    }
}
