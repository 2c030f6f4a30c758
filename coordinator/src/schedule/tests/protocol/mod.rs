//! The lease protocol in every order that is possible, for small cases.

mod sides;
mod world;

use stateright::{Checker, Model, Property};

use sides::{Coordinator, Durable, Kept, SLOTS, Worker};
use world::{Database, Event, Message, World};

/// A case.
#[derive(Clone, Copy)]
struct Case {
    coordinators: usize,
    tasks: usize,
    faults: u8,
    same_work: bool,
}

const WORKERS: usize = 2;

impl Model for Case {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        let durable = Durable { epoch: 1, tasks: vec![Kept::default(); self.tasks] };
        let mut coordinators = vec![None; self.coordinators];
        coordinators[0] = Some(Coordinator::start(&durable, self.same_work));
        let workers = vec![Worker::default(); WORKERS];
        let (network, heard, wrong) = Default::default();
        let (faults, overtaken) = (self.faults, false);
        vec![World { durable, coordinators, workers, network, faults, heard, wrong, overtaken }]
    }

    fn actions(&self, world: &World, events: &mut Vec<Event>) {
        usual(world, events);
        if world.faults > 0 {
            faults(world, events);
        }
    }

    fn next_state(&self, before: &World, event: Event) -> Option<World> {
        let mut world = before.clone();
        let happened = self.happens(&mut world, &event);
        if happened && is_fault(before, &event) {
            world.faults -= 1;
        }
        happened.then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nothing goes wrong on the way", |_, world: &World| {
                world.wrong.is_empty()
            }),
            Property::always("the leader believes what is durable", |_, world: &World| {
                let leaders = (0..world.coordinators.len()).filter(|at| world.leads(*at));
                let mut leaders = leaders.filter_map(|at| world.coordinators[at].as_ref());
                leaders.all(|leader| believes(leader, world))
            }),
            Property::always("no worker does more than it has slots", |_, world: &World| {
                let does = |worker: &Worker| worker.running.len() + worker.stopping.len();
                // A request that comes late tells of another time: until the next one it is believed.
                world.overtaken || world.workers.iter().all(|worker| does(worker) <= SLOTS as usize)
            }),
            Property::always(
                "everything is done when faults stop",
                |case: &Self, world: &World| world.faults > 0 || case.calms_down(world),
            ),
            Property::sometimes(
                "everything is done after every fault",
                |case: &Self, world: &World| world.faults == 0 && case.is_done(world),
            ),
        ]
    }
}

fn believes(leader: &Coordinator, world: &World) -> bool {
    world.durable.tasks.iter().enumerate().all(|(at, kept)| {
        let (result, durable) = (leader.result(at), kept.result.map(sides::digits));
        result.is_none() || kept.ended || result == durable
    })
}

/// What happens without anybody's fault.
fn usual(world: &World, events: &mut Vec<Event>) {
    for (number, worker) in world.workers.iter().enumerate() {
        if !worker.calls {
            let alive =
                (0..world.coordinators.len()).filter(|at| world.coordinators[*at].is_some());
            events.extend(alive.map(|coordinator| Event::Call { worker: number, coordinator }));
        }
        events.extend(
            worker.running.iter().map(|lease| Event::Ends { worker: number, lease: *lease }),
        );
        events.extend(
            worker.stopping.iter().map(|lease| Event::Stops { worker: number, lease: *lease }),
        );
    }
    for message in &world.network {
        let (message, database) = (message.clone(), Database::Works);
        events.push(Event::Deliver { message, again: false, database });
    }
    for coordinator in 0..world.coordinators.len() {
        events.push(Event::StopKeeping { coordinator });
        if (0..world.coordinators.len()).all(|at| !world.leads(at)) {
            events.push(Event::TakeLead { coordinator });
        }
    }
}

fn faults(world: &World, events: &mut Vec<Event>) {
    for message in &world.network {
        events.push(Event::Drop(message.clone()));
        if matches!(message, Message::Request { .. }) {
            let deliver =
                |again, database| Event::Deliver { message: message.clone(), again, database };
            events.push(deliver(true, Database::Works));
            for (write, written) in [(0, false), (0, true), (1, false), (1, true)] {
                events.push(deliver(false, Database::Fails { write, written }));
            }
        }
    }
    for worker in 0..world.workers.len() {
        events.extend([Event::GivesUp { worker }, Event::Kill { worker }]);
    }
    for coordinator in 0..world.coordinators.len() {
        if world.coordinators[coordinator].is_none() {
            events.push(Event::TakeLead { coordinator });
            continue;
        }
        events.push(Event::Crash { coordinator });
        events.extend((0..WORKERS).map(|worker| Event::Lose { coordinator, worker }));
        events
            .extend((0..world.durable.tasks.len()).map(|task| Event::Cancel { coordinator, task }));
    }
}

fn is_fault(world: &World, event: &Event) -> bool {
    match event {
        Event::Deliver { again, database, .. } => *again || *database != Database::Works,
        Event::TakeLead { .. } => (0..world.coordinators.len()).any(|at| world.leads(at)),
        Event::Call { .. } | Event::Ends { .. } | Event::Stops { .. } => false,
        Event::StopKeeping { .. } => false,
        _ => true,
    }
}

impl Case {
    /// Lets an event happen; tells whether it could.
    fn happens(&self, world: &mut World, event: &Event) -> bool {
        match event {
            Event::Call { worker, coordinator } => world.call(*worker, *coordinator),
            Event::Deliver { message, again, database } => {
                return world.deliver(message, *again, *database);
            }
            Event::Drop(message) => {
                world.network.remove(message);
                if let Message::Request { from: worker, late: false, .. }
                | Message::Answer { to: worker, .. } = message
                {
                    world.workers[*worker].calls = false;
                }
            }
            Event::Ends { worker, lease } => {
                world.workers[*worker].running.remove(lease);
                world.workers[*worker].finished.insert(*lease);
                // The call is dropped and made anew with the news.
                world.hang_up(*worker);
            }
            Event::Stops { worker, lease } => {
                world.workers[*worker].stopping.remove(lease);
                world.hang_up(*worker);
            }
            Event::GivesUp { worker } | Event::Kill { worker }
                if world.workers[*worker] == Worker::default() =>
            {
                return false;
            }
            Event::GivesUp { worker } => {
                world.hang_up(*worker);
                world.workers[*worker].give_up();
            }
            Event::Kill { worker } => {
                world.hang_up(*worker);
                world.workers[*worker] = Worker::default();
            }
            Event::Crash { coordinator } => world.coordinators[*coordinator] = None,
            Event::TakeLead { coordinator } => {
                world.durable.epoch += 1;
                let leader = Coordinator::start(&world.durable, self.same_work);
                world.coordinators[*coordinator] = Some(leader);
            }
            Event::Cancel { coordinator, task } => {
                if world.durable.tasks[*task].ended {
                    return false;
                }
                world.cancel(*coordinator, *task);
            }
            Event::Lose { coordinator, worker } => {
                return world.change(*coordinator, |leader| leader.lose(*worker));
            }
            Event::StopKeeping { coordinator } => {
                return world.change(*coordinator, Coordinator::stop_keeping);
            }
        }
        true
    }

    fn is_done(&self, world: &World) -> bool {
        world.durable.tasks.iter().all(|kept| kept.ended || kept.result.is_some())
    }

    /// Whether everything is done once nothing goes wrong any more: one leads whom all workers find, and whoever
    /// is silent in truth is taken to be lost.
    fn calms_down(&self, world: &World) -> bool {
        let mut world = world.clone();
        let leader = (0..self.coordinators).find(|at| world.leads(*at)).unwrap_or(0);
        if !world.leads(leader) {
            self.happens(&mut world, &Event::TakeLead { coordinator: leader });
        }
        self.happens(&mut world, &Event::StopKeeping { coordinator: leader });
        for _ in 0..8 {
            if self.is_done(&world) {
                return true;
            }
            for worker in 0..WORKERS {
                let Worker { running, stopping, .. } = world.workers[worker].clone();
                for lease in running {
                    self.happens(&mut world, &Event::Ends { worker, lease });
                }
                for lease in stopping {
                    self.happens(&mut world, &Event::Stops { worker, lease });
                }
                world.call(worker, leader);
                while let Some(message) = world.network.pop_first() {
                    world.deliver(&message, false, Database::Works);
                }
            }
        }
        false
    }
}

/// All states, or those that are not deeper than is tried in a few seconds.
fn explore(case: Case, depth: usize) {
    let asked = |name: &str| -> Option<usize> {
        std::env::var(name).ok().and_then(|number| number.parse().ok())
    };
    let faults = asked("PROTOCOL_FAULTS").and_then(|faults| faults.try_into().ok());
    let case = Case { faults: faults.unwrap_or(case.faults), ..case };
    let depth = asked("PROTOCOL_DEPTH").unwrap_or(depth);
    let checker = case.checker().target_max_depth(depth).spawn_bfs().join();
    eprintln!(
        "{} steps, {} states, at most {} deep",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth()
    );
    checker.assert_properties();
}

const ONE: Case = Case { coordinators: 1, tasks: 1, faults: 1, same_work: false };

#[test]
fn one_coordinator_and_one_task() {
    explore(ONE, 99);
}

#[test]
fn two_coordinators_and_one_task() {
    explore(Case { coordinators: 2, ..ONE }, 15);
}

#[test]
fn one_coordinator_and_two_tasks() {
    explore(Case { tasks: 2, ..ONE }, 16);
}

#[test]
fn one_coordinator_and_work_that_two_builds_need() {
    explore(Case { tasks: 2, same_work: true, ..ONE }, 99);
}
