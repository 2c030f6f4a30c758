//! A fleet of real processes on a real database and a real S3 server, and what becomes of it.

use std::{
    cell::RefCell,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::{Child, Stdio},
    rc::Rc,
};

use prestage_sample::SampleOptions;
use prestage_test_servers::{ports::free_port, postgres::Postgres};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::Value;

use super::{
    namespace::Namespace,
    relay::{Line, Relay},
    seaweed::Seaweed,
    service::{Coordinator, Service, Worker},
    support::{
        Demo, command,
        fleet::{saved_plan, undisturbed, wait_until},
        ok, prestage,
        small_disk::SmallDisk,
    },
};

/// Where all faults of a run are drawn from: another one in `CHAOS_SEED`.
const SEED: u64 = 7;
pub const OBJECTS: &str = "s3://packs/site";
pub const OUTPUT: &str = "s3://media/out.wim";
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// A link on which a build takes long enough for some faults.
const LINK: Line = Line { bytes_per_second: 1_200_000, ..Line::WHOLE };

/// Room for any pack of a worker, if nobody else takes it: it may need 132 MiB before it knows better.
const DISK_MIB: u32 = 192;

/// Where workers run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Beside the others.
    Here,
    /// In networks of their own.
    Namespaces,
    /// With small disks of their own for staging.
    SmallDisks,
}

/// The fleet.
pub struct Rig {
    pub workers: Vec<Worker>,
    pub coordinators: Vec<Coordinator>,
    pub postgres: Postgres,
    pub seaweed: Seaweed,
    pub runtime: tokio::runtime::Runtime,
    pub demo: Rc<Demo>,
    pub expected: Vec<u8>,
    plan: String,
    draw: RefCell<StdRng>,
    faults: RefCell<u32>,
}

impl Rig {
    /// Two coordinators and three workers.
    pub fn start(scenario: &str, place: Place) -> Self {
        let seed = std::env::var("CHAOS_SEED").ok().map_or(SEED, |seed| seed.parse().unwrap());
        eprintln!("chaos: {scenario}, seed {seed}");
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let demo = Rc::new(Demo::with(&SampleOptions {
            os_bytes: 12 << 20,
            large_file_bytes: 2 << 20,
            driver_files: 64,
            packages: 8,
            package_bytes: 768 << 10,
            ..SampleOptions::default()
        }));
        let plan = saved_plan(&demo, "fast", &[]);
        let expected = undisturbed(&demo, &plan);
        let seaweed = runtime.block_on(Seaweed::start());
        let (draw, faults) = (RefCell::new(StdRng::seed_from_u64(seed)), RefCell::default());
        let (workers, coordinators) = (Vec::new(), Vec::new());
        let postgres = Postgres::start();
        let mut this = Self {
            workers,
            coordinators,
            postgres,
            seaweed,
            runtime,
            demo,
            expected,
            plan,
            draw,
            faults,
        };
        this.coordinators = ["first", "second"].map(|name| this.coordinator(name)).into();
        this.workers = ["one", "two", "three"].map(|name| this.worker(name, place)).into();
        this
    }

    fn coordinator(&self, name: &str) -> Coordinator {
        let [address, metrics] = [(); 2].map(|()| SocketAddr::from((LOCALHOST, free_port())));
        let (demo, state) = (self.demo.clone(), self.postgres.url());
        let environment = self.environment(self.seaweed.port(), LOCALHOST);
        let (data, seal_key) = (demo.path(name), demo.path("data/seal.key"));
        let service = Service::start(name, "coordinator is ready", move || {
            let mut command = command(&demo);
            command.args(["coordinator", "--objects", OBJECTS, "--lease-seconds", "2"]);
            command.args(["--listen", &address.to_string(), "--metrics", &metrics.to_string()]);
            command.arg("--data-dir").arg(&data).arg("--seal-key").arg(&seal_key);
            command.env("PRESTAGE_STATE", &state).envs(environment.clone());
            command
        });
        Coordinator { service, address, metrics }
    }

    fn worker(&self, name: &str, place: Place) -> Worker {
        let namespace = (place == Place::Namespaces).then(|| Rc::new(Namespace::new().unwrap()));
        let here = namespace.as_ref().map_or(LOCALHOST, |namespace| namespace.host);
        let s3 = SocketAddr::from((LOCALHOST, self.seaweed.port()));
        let store = Relay::start(here, s3, LINK);
        let ways = self.coordinators.iter();
        let coordinators: Vec<Relay> =
            ways.map(|to| Relay::start(here, to.address, Line::WHOLE)).collect();
        let urls: Vec<String> =
            coordinators.iter().map(|way| format!("http://{}", way.address)).collect();
        let environment = self.environment(store.address.port(), here);
        let (demo, staging) = (self.demo.clone(), self.demo.path(&format!("staging of {name}")));
        std::fs::create_dir(&staging).unwrap();
        let disk =
            (place == Place::SmallDisks).then(|| SmallDisk::mount(staging.clone(), DISK_MIB));
        let (own, folder, network) = (name.to_owned(), staging.clone(), namespace.clone());
        let service = Service::start(name, "worker is ready", move || {
            let mut command = command(&demo);
            command.args(["worker", "--name", &own, "--slots", "1", "--threads", "1"]);
            command.args(["--coordinator", &urls.join(","), "--patience-ms", "2000"]);
            // In a namespace the coordinators have another machine's addresses.
            command.args(network.is_some().then_some("--insecure"));
            command.arg("--staging-folder").arg(&folder).envs(environment.clone());
            match &network {
                Some(network) => network.wrap(&command),
                None => command,
            }
        });
        Worker { service, staging, store, coordinators, namespace, disk }
    }

    /// The S3 server's settings for one who reaches it there.
    fn environment(&self, port: u16, ip: IpAddr) -> Vec<(String, String)> {
        let settings = self.seaweed.environment().map(|(name, value)| (name.into(), value.into()));
        let endpoint = ("AWS_ENDPOINT".to_owned(), format!("http://{ip}:{port}"));
        settings.into_iter().chain([endpoint]).collect()
    }

    /// A client that has the plan built into the bucket.
    pub fn build(&self) -> Child {
        let mut client = command(&self.demo);
        client.args(["build", "--json", "--plan", &self.plan, "--output", OUTPUT]);
        let urls = self.coordinators.iter().map(|one| format!("http://{}", one.address));
        client.args(["--coordinator", &urls.collect::<Vec<_>>().join(",")]);
        client.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// A number below `bound`.
    pub fn draw(&self, bound: usize) -> usize {
        self.draw.borrow_mut().random_range(0..bound)
    }

    /// All links are fast and whole from now on.
    pub fn mend_links(&self) {
        for worker in &self.workers {
            worker.links().for_each(|link| link.set(Line::WHOLE));
        }
    }

    /// Writes a fault down that has fired.
    pub fn fired(&self, what: &str) {
        let mut faults = self.faults.borrow_mut();
        *faults += 1;
        eprintln!("chaos: fault {faults}: {what}");
    }

    /// How many have fired.
    pub fn faults(&self) -> u32 {
        *self.faults.borrow()
    }

    /// The coordinator that leads, once one does.
    pub fn active(&self) -> usize {
        let mut active = None;
        wait_until(|| {
            let leads = |one: &Coordinator| self.metric(one, "prestage_leader") == Some(1.0);
            active = self.coordinators.iter().position(leads);
            active.is_some()
        });
        active.unwrap()
    }

    /// Leases that were lost under a coordinator since it has led.
    pub fn lost(&self, of: usize) -> f64 {
        let text = self.metrics(&self.coordinators[of]).unwrap_or_default();
        let lost = text.lines().filter(|line| {
            line.starts_with("prestage_tasks_total") && line.contains("outcome=\"lost\"")
        });
        lost.map(value).sum()
    }

    /// A number without labels; none where nobody answers.
    pub fn metric(&self, of: &Coordinator, name: &str) -> Option<f64> {
        let text = self.metrics(of)?;
        text.lines().find(|line| line.starts_with(&format!("{name} "))).map(value)
    }

    fn metrics(&self, of: &Coordinator) -> Option<String> {
        let url = format!("http://{}/metrics", of.metrics);
        let within = std::time::Duration::from_secs(2);
        self.runtime.block_on(async {
            let answer = reqwest::Client::new().get(url).timeout(within).send().await.ok()?;
            answer.text().await.ok()
        })
    }

    /// The only build, as a coordinator that is awake shows it.
    pub fn shown(&self, by: usize) -> Value {
        let url = format!("http://{}", self.coordinators[by].address);
        let mut shown = Value::Null;
        wait_until(|| {
            let listed = ok(&prestage(&self.demo, ["list", "--json", "--coordinator", &url]));
            let Some(id) = listed["builds"][0]["build_id"].as_str() else {
                return false;
            };
            shown = ok(&prestage(&self.demo, ["show", id, "--json", "--coordinator", &url]));
            true
        });
        shown
    }

    /// A worker that is busy with one of the build's tasks now, and this task; none when it has ended.
    pub fn busy(&self, by: usize, suits: impl Fn(&Value) -> bool) -> Option<(usize, Value)> {
        let mut found = None;
        wait_until(|| {
            let shown = self.shown(by);
            let tasks = shown["tasks"].as_array().unwrap();
            let leased = tasks.iter().filter(|task| task["state"] == "leased" && suits(task));
            let leased: Vec<_> = leased.collect();
            if !leased.is_empty() {
                let task = leased[self.draw(leased.len())].clone();
                let of = |worker: &Worker| task["worker"] == worker.service.name.as_str();
                let worker = self.workers.iter().position(of);
                found = worker.map(|worker| (worker, task));
            }
            found.is_some() || shown["state"] != "running"
        });
        found
    }

    /// Whether a task is no longer that worker's under this lease.
    pub fn has_moved_on(&self, by: usize, task: &Value) -> bool {
        let shown = self.shown(by);
        let now = shown["tasks"].as_array().unwrap().iter();
        let mut now = now.filter(|now| now["task_id"] == task["task_id"]);
        now.any(|now| {
            let has_ended = now["state"] == "done" && now["worker"] != task["worker"];
            has_ended || now["generation"].as_u64() > task["generation"].as_u64()
        })
    }
}

fn value(line: &str) -> f64 {
    line.rsplit(' ').next().unwrap().parse().unwrap()
}
