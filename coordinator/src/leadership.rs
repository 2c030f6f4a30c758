//! Leading, or standing by for it.
//!
//! A coordinator stands for the lead as long as it lives. While it leads, an engine runs; when the
//! lead is lost the engine ends at once, and whatever it still tries to write is fenced.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    CoordinatorError,
    clock::Clock,
    engine::{self, EngineHandle},
    numbers,
    pipeline::MediaPipeline,
    schedule::{Policy, Scheduler},
    state::{Candidate, Epoch, Leadership, StateError, StateStore},
};

/// An engine that is stopped may end what it is at.
const GRACE: Duration = Duration::from_secs(1);

/// One who had the lead and could not start an engine leaves it to others for so long.
const UNABLE: Duration = Duration::from_secs(5);

/// What a coordinator is at the moment.
#[derive(Clone)]
pub(crate) enum Role {
    /// The one that works.
    Active(Active),
    /// Another one works.
    Standby {
        /// Where that one is reached; empty if nobody leads.
        leader: String,
    },
}

/// What the active coordinator works with.
#[derive(Clone)]
pub(crate) struct Active {
    pub engine: EngineHandle,
    /// Its writes are of this leader's epoch.
    pub store: Arc<dyn StateStore>,
}

/// How the lead is looked after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// A leader that is silent for so long has lost it.
    pub ttl: Duration,
    /// How often the leader speaks.
    pub renew: Duration,
    /// How often the others look.
    pub look: Duration,
}

impl Terms {
    /// Where several coordinators stand.
    pub const SHARED: Self = Self {
        ttl: Duration::from_secs(3),
        renew: Duration::from_secs(1),
        look: Duration::from_millis(500),
    };
    /// Where a lock says already that there is one: a slow disk must not depose it.
    pub const ALONE: Self = Self {
        ttl: Duration::from_secs(24 * 3600),
        renew: Duration::from_secs(3600),
        look: Duration::from_millis(500),
    };
}

/// A coordinator's standing for the lead.
pub(crate) struct Candidacy {
    pub candidate: Candidate,
    pub terms: Terms,
    pub store: Arc<dyn StateStore>,
    pub pipeline: Arc<MediaPipeline>,
    pub clock: Arc<dyn Clock>,
    pub policy: Policy,
    pub shutdown: CancellationToken,
}

/// A time of leading.
struct Term {
    lease: Lease,
    engine: JoinHandle<()>,
    stop: CancellationToken,
}

impl Candidacy {
    /// Stands for the lead once, then in the background until the shutdown. The role is known when
    /// this returns.
    pub async fn begin(self) -> Result<(watch::Receiver<Role>, JoinHandle<()>), CoordinatorError> {
        let (role, seen) = watch::channel(Role::Standby { leader: String::new() });
        show_nothing(self.policy);
        let term = self.stand(&role).await?;
        Ok((seen, tokio::spawn(self.go_on(role, term))))
    }

    async fn go_on(self, role: watch::Sender<Role>, mut term: Option<Term>) {
        let mut failing = false;
        let mut pause = self.terms.look;
        loop {
            if let Some(term) = term.take() {
                self.lead(&role, term).await;
            }
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = sleep(pause) => {}
            }
            pause = self.terms.look;
            match self.stand(&role).await {
                Ok(begun) => {
                    failing = false;
                    term = begun;
                }
                Err(error) => {
                    if !matches!(error, CoordinatorError::State(_)) {
                        // Whoever leads now may be able to start an engine.
                        pause = UNABLE;
                    }
                    if !std::mem::replace(&mut failing, true) {
                        tracing::error!(%error, "this coordinator can't stand for the lead");
                    }
                }
            }
        }
    }

    /// Takes the lead if nobody has it.
    async fn stand(&self, role: &watch::Sender<Role>) -> Result<Option<Term>, CoordinatorError> {
        // Before the question: the lease is not older than we believe.
        let asked = Instant::now();
        let taking = self.store.take_lead(&self.candidate, self.terms.ttl);
        // A lease that took longer to get is over already.
        let taken = timeout(self.terms.ttl, taking).await;
        match taken.unwrap_or(Err(StateError::Database(sqlx::Error::PoolTimedOut)))? {
            Leadership::Standby { leader } => {
                stand_by(role, leader);
                Ok(None)
            }
            Leadership::Active { epoch } => {
                let (store, terms) = (self.store.clone(), self.terms);
                let lease = Lease { store, terms, epoch, kept: asked };
                let begun = self.begin_term(role, lease).await;
                if begun.is_err() {
                    // Another one may fare better.
                    self.resign(epoch).await;
                }
                begun.map(Some)
            }
        }
    }

    async fn begin_term(
        &self,
        role: &watch::Sender<Role>,
        mut lease: Lease,
    ) -> Result<Term, CoordinatorError> {
        let store = self.store.led(lease.epoch);
        let stop = self.shutdown.child_token();
        let (pipeline, clock) = (self.pipeline.clone(), self.clock.clone());
        let starting = engine::start(store.clone(), pipeline, clock, self.policy, stop.clone());
        let (engine, running) = tokio::select! {
            started = Box::pin(starting) => started?,
            () = lease.hold() => return Err(StateError::Deposed.into()),
        };
        tracing::info!(epoch = lease.epoch.0, "this coordinator is the active one");
        role.send_replace(Role::Active(Active { engine, store }));
        Ok(Term { lease, engine: running, stop })
    }

    /// Leads until the lead is lost, the engine ends, or the shutdown.
    async fn lead(&self, role: &watch::Sender<Role>, mut term: Term) {
        let epoch = term.lease.epoch;
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => {}
            () = term.lease.hold() => {
                tracing::error!(epoch = epoch.0, "this coordinator has lost the lead");
            }
            ended = &mut term.engine => match ended {
                Ok(()) => tracing::error!(epoch = epoch.0, "this coordinator was deposed"),
                Err(error) => tracing::error!(%error, "the engine ended badly"),
            },
        }
        if self.shutdown.is_cancelled() {
            role.send_replace(Role::Standby { leader: String::new() });
        } else {
            stand_by(role, String::new());
        }
        term.stop.cancel();
        show_nothing(self.policy);
        let mut busy = !term.engine.is_finished();
        if busy {
            busy = timeout(GRACE, &mut term.engine).await.is_err();
        }
        self.resign(epoch).await;
        if busy && self.shutdown.is_cancelled() {
            // Half-made things of builds that ended are still being removed.
            if let Err(error) = term.engine.await {
                tracing::error!(%error, "the engine ended badly");
            }
        } else if busy {
            // The one that leads now removes them.
            term.engine.abort();
        }
    }

    async fn resign(&self, epoch: Epoch) {
        let resigned = timeout(self.terms.renew.min(GRACE), self.store.resign(epoch)).await;
        if let Ok(Err(error)) = resigned {
            tracing::warn!(%error, "the lead could not be given up; it expires");
        }
    }
}

/// A standby has no fleet.
fn show_nothing(policy: Policy) {
    numbers::show_leader(false);
    numbers::show_fleet(&Scheduler::new(policy), 0, Duration::ZERO);
}

/// Shows that this coordinator is a standby.
fn stand_by(role: &watch::Sender<Role>, leader: String) {
    role.send_if_modified(|role| match role {
        Role::Standby { leader: known } if *known == leader => false,
        _ => {
            tracing::info!(leader, "this coordinator is a standby");
            *role = Role::Standby { leader };
            true
        }
    });
}

/// The lead, as its holder sees it.
struct Lease {
    store: Arc<dyn StateStore>,
    terms: Terms,
    epoch: Epoch,
    /// Since when it counts at the latest.
    kept: Instant,
}

impl Lease {
    /// Keeps the lead; ends when it is lost.
    async fn hold(&mut self) {
        let mut pause = self.terms.renew.saturating_sub(self.kept.elapsed());
        loop {
            sleep(pause).await;
            let asked = Instant::now();
            let left = self.terms.ttl.saturating_sub(self.kept.elapsed());
            let keeping = self.store.keep_lead(self.epoch, self.terms.ttl);
            // A connection that hangs leaves time for another one.
            match timeout(left.min(self.terms.renew), keeping).await {
                Ok(Ok(())) => {
                    self.kept = asked;
                    pause = self.terms.renew;
                }
                Ok(Err(StateError::Deposed)) => return,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the lead could not be renewed yet");
                    pause = self.terms.look;
                }
                Err(_) => pause = Duration::ZERO,
            }
            if self.kept.elapsed() >= self.terms.ttl {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
