//! The people of a simulation: they ask for media, look how it goes, and change their minds.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prestage_connect::Coordinators;
use prestage_coordinator::service::MESSAGE_BYTES_MAX;
use prestage_proto::v1::{self, media_service_client::MediaServiceClient};
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Status};

use crate::{
    broken,
    hosts::Fleet,
    network,
    prepared::{Reference, output},
};

/// How often somebody looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After so many looks somebody wonders what it is that takes so long.
const LOOKS_WITHOUT_A_WORD: u32 = 60;
/// An answer that takes longer is none.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// A cancellation is answered within this time by the coordinator, and the way there and back takes some.
const CANCELLED_WITHIN: Duration = Duration::from_secs(10 + 5);

/// A medium that is asked for.
#[derive(Clone)]
pub struct Order {
    /// The plan.
    pub plan: Reference,
    /// The medium's name, which no other order has.
    pub medium: String,
    /// When.
    pub at: Duration,
    /// How long after that it is not wanted any more.
    pub cancelled_after: Option<Duration>,
    /// Who asks.
    pub requester: String,
    /// How urgent it is.
    pub priority: i32,
}

/// How an order ended.
#[derive(Clone)]
pub struct Outcome {
    /// The order.
    pub order: Order,
    /// The build as it was seen last.
    pub build: v1::Build,
}

/// How all of them ended.
pub type Outcomes = Arc<Mutex<Vec<Outcome>>>;

/// Somebody who has all orders.
pub async fn people(fleet: Fleet, orders: Vec<Order>, outcomes: Outcomes) -> turmoil::Result {
    let waiting: Vec<_> = orders
        .into_iter()
        .map(|order| {
            let person = Person::new(&fleet, order);
            let outcomes = outcomes.clone();
            tokio::spawn(async move {
                let outcome = person.gets_a_medium().await;
                outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
            })
        })
        .collect();
    for person in waiting {
        person.await?;
    }
    Ok(())
}

struct Person {
    fleet: Fleet,
    client: MediaServiceClient<Coordinators>,
    order: Order,
}

impl Person {
    fn new(fleet: &Fleet, order: Order) -> Self {
        let coordinators = network::coordinators(&fleet.coordinators);
        let client = MediaServiceClient::new(coordinators.patient(Duration::from_secs(30)))
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        Self { fleet: fleet.clone(), client, order }
    }

    async fn gets_a_medium(self) -> Outcome {
        sleep(self.order.at).await;
        let build_id = self.submits().await;
        self.notes(format_args!("has build {build_id}"));
        let cancels = async {
            match self.order.cancelled_after {
                Some(after) => {
                    sleep(after).await;
                    self.cancels(&build_id).await;
                }
                None => std::future::pending().await,
            }
        };
        let build = tokio::select! {
            biased;
            build = self.looks(&build_id) => build,
            () = cancels => self.looks(&build_id).await,
        };
        self.notes(format_args!("sees {} end as {:?}", build.build_id, build.state()));
        Outcome { order: self.order, build }
    }

    /// Asks until it is answered: a coordinator may be starting, or have no database at the moment.
    async fn submits(&self) -> String {
        loop {
            let request = v1::SubmitBuildRequest {
                request_id: format!("request for {}", self.order.medium),
                plan_json: self.order.plan.plan_json.clone(),
                output: output(&self.order.medium),
                requester: self.order.requester.clone(),
                no_register: true,
                priority: self.order.priority,
                deadline: None,
            };
            let asked = async { self.client.clone().submit_build(request).await };
            match self.answered("submit", asked).await {
                Ok(answer) => return answer.build_id,
                Err(status) => self.is_told("submit", &status),
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn cancels(&self, build_id: &str) {
        loop {
            let request = v1::CancelBuildRequest { build_id: build_id.to_owned() };
            let begun = Instant::now();
            let asked = async { self.client.clone().cancel_build(request).await };
            let answer = self.answered("cancel", asked).await;
            match answer {
                Ok(_) if begun.elapsed() > CANCELLED_WITHIN => {
                    let took = begun.elapsed();
                    broken!(self.fleet.world, "P8: cancelling {build_id} took {took:?}");
                    return;
                }
                Ok(_) => return self.notes(format_args!("has cancelled {build_id}")),
                // It has ended by itself.
                Err(status) if status.code() == Code::FailedPrecondition => return,
                Err(status) => self.is_told("cancel", &status),
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Looks at a build until it has ended.
    async fn looks(&self, build_id: &str) -> v1::Build {
        for look in 1u32.. {
            sleep(LOOK_EVERY).await;
            let request = v1::GetBuildRequest { build_id: build_id.to_owned() };
            let asked = async { self.client.clone().get_build(request).await };
            match self.answered("look", asked).await {
                Ok(v1::GetBuildResponse { build: Some(build) }) => {
                    self.judges(&build);
                    if look % LOOKS_WITHOUT_A_WORD == 0 {
                        self.wonders(&build);
                    }
                    if build.state() != v1::BuildState::Running {
                        return build;
                    }
                }
                Ok(_) => {}
                Err(status) => self.is_told("look", &status),
            }
        }
        v1::Build::default()
    }

    /// Writes down what a build waits for.
    fn wonders(&self, build: &v1::Build) {
        let open = build.tasks.iter().filter(|task| task.state() != v1::TaskState::Done);
        for task in open {
            let (id, state, waits) = (&task.task_id, task.state(), &task.waiting_for);
            self.notes(format_args!("{id} is {state:?} {} {waits}", task.worker));
        }
    }

    /// Nothing waits without a word.
    fn judges(&self, build: &v1::Build) {
        if build.state() != v1::BuildState::Running {
            return;
        }
        for task in &build.tasks {
            let waits = matches!(task.state(), v1::TaskState::Blocked | v1::TaskState::Ready);
            if waits && task.waiting_for.is_empty() {
                let (build, task) = (&build.build_id, &task.task_id);
                broken!(self.fleet.world, "P3: {build}/{task} waits and does not say for what");
            }
        }
    }

    async fn answered<T>(
        &self,
        what: &str,
        asked: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, Status> {
        match timeout(ANSWER_WITHIN, asked).await {
            Ok(answer) => answer.map(tonic::Response::into_inner),
            Err(_) => Err(Status::deadline_exceeded(format!("no answer to: {what}"))),
        }
    }

    /// An error says something, and is none that Prestage calls its own fault.
    fn is_told(&self, what: &str, status: &Status) {
        let said = status.message().lines().next().unwrap_or_default();
        self.notes(format_args!("{what}: {:?} {said}", status.code()));
        if status.message().is_empty() || status.code() == Code::Unknown {
            broken!(
                self.fleet.world,
                "P2: {what} is answered by {:?} '{}'",
                status.code(),
                status.message()
            );
        }
    }

    fn notes(&self, what: std::fmt::Arguments<'_>) {
        self.fleet.world.note("people", format_args!("{}: {what}", self.order.medium));
    }
}
