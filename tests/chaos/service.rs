//! A process of the fleet that is killed, put to sleep, and started again.

use std::{
    net::SocketAddr, os::unix::process::ExitStatusExt, path::PathBuf, process::Command, rc::Rc,
    sync::mpsc, time::Instant,
};

use super::{
    namespace::Namespace,
    relay::{Line, Relay},
    support::{
        Running,
        fleet::{service_of, wait_until},
        small_disk::SmallDisk,
        tool,
    },
};

/// A service, and how it is started.
pub struct Service {
    pub name: String,
    process: Running,
    pub log: mpsc::Receiver<String>,
    /// KiB that it had in memory when it was ready.
    pub rss_when_ready: u64,
    ready: &'static str,
    make: Box<dyn Fn() -> Command>,
}

impl Service {
    /// Starts it and waits until it says that it is ready.
    pub fn start(name: &str, ready: &'static str, make: impl Fn() -> Command + 'static) -> Self {
        let (process, _, log) = service_of(make(), ready);
        let rss_when_ready = rss(process.0.id());
        Self { name: name.to_owned(), process, log, rss_when_ready, ready, make: Box::new(make) }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// KiB that it has in memory.
    pub fn rss(&self) -> u64 {
        rss(self.pid())
    }

    /// SIGKILL. It must have been alive.
    pub fn kill(&mut self) {
        assert_eq!(self.process.0.try_wait().unwrap(), None, "{} has ended by itself", self.name);
        self.process.0.kill().unwrap();
        let status = self.process.0.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "{} ended with {status}", self.name);
    }

    /// A new process after the end of the one before.
    pub fn start_again(&mut self) {
        let (process, _, log) = service_of((self.make)(), self.ready);
        self.rss_when_ready = rss(process.0.id());
        (self.process, self.log) = (process, log);
    }

    /// A signal by its name.
    pub fn signal(&self, name: &str) {
        tool("kill", "procps", [name, &self.pid().to_string()]);
    }

    /// Puts it to sleep; returns when it sleeps.
    pub fn stop(&self) {
        self.signal("-STOP");
        let stat = format!("/proc/{}/stat", self.pid());
        wait_until(|| std::fs::read_to_string(&stat).unwrap().contains(") T "));
    }

    /// SIGTERM; it must end well.
    pub fn end(&mut self) {
        let asked = Instant::now();
        self.signal("-TERM");
        let mut ended = None;
        wait_until(|| {
            ended = self.process.0.try_wait().unwrap();
            ended.is_some()
        });
        let status = ended.unwrap();
        eprintln!(
            "chaos: {} ended {:.1} s after SIGTERM",
            self.name,
            asked.elapsed().as_secs_f32()
        );
        assert!(status.success(), "{} ended with {status} at SIGTERM", self.name);
    }
}

/// KiB of a process that are in memory.
fn rss(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// One of two coordinators.
pub struct Coordinator {
    pub service: Service,
    pub address: SocketAddr,
    pub metrics: SocketAddr,
}

/// A worker; all that it reaches lies behind relays of its own.
pub struct Worker {
    pub service: Service,
    pub staging: PathBuf,
    /// The way to the S3 server.
    pub store: Relay,
    /// The ways to the coordinators.
    pub coordinators: Vec<Relay>,
    /// These go after the process.
    pub namespace: Option<Rc<Namespace>>,
    pub disk: Option<SmallDisk>,
}

impl Worker {
    /// All its ways to others.
    pub fn links(&self) -> impl Iterator<Item = &Relay> {
        self.coordinators.iter().chain([&self.store])
    }

    /// Nothing comes to it or from it, and nobody is told. Connections must have been open.
    pub fn cut_off(&self) {
        let open: usize = self.links().map(Relay::open).sum();
        assert!(open > 0, "{} has no connection that could be cut", self.service.name);
        match &self.namespace {
            Some(namespace) => namespace.pull(),
            None => self.links().for_each(|link| link.set(Line { silent: true, ..link.line() })),
        }
    }

    /// It is reached again.
    pub fn reconnect(&self) {
        match &self.namespace {
            Some(namespace) => namespace.plug(),
            None => self.links().for_each(|link| link.set(Line { silent: false, ..link.line() })),
        }
    }
}
