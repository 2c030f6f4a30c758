//! A network of a worker's own, whose cable can be pulled.
//!
//! A network namespace and a pair of virtual interfaces, as a container has. Needs root and a kernel that
//! has them; what is not there is asked for when the test runs.

use std::{
    net::{IpAddr, Ipv4Addr},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A namespace, removed when this is dropped.
pub struct Namespace {
    /// What `ip netns` calls it.
    pub name: String,
    /// This machine's address, as seen from inside.
    pub host: IpAddr,
    /// The end of the cable on this machine.
    cable: String,
}

impl Namespace {
    /// A new one, with a cable to this machine.
    ///
    /// # Errors
    /// What the kernel or `ip` has against it.
    pub fn new() -> Result<Self, String> {
        let (pid, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // Of the addresses for carriers' own networks: four for each of sixteen in a process.
        let base = 0x6440_0000 + ((pid & 0xffff) << 6) + ((number & 0xf) << 2);
        let [host, inside] = [1, 2].map(|last| Ipv4Addr::from(base + last));
        let name = format!("prestage-chaos-{pid}-{number}");
        let (cable, other) = (format!("pch{number}-{pid}"), format!("pcw{number}-{pid}"));
        ip(&format!("netns add {name}"))?;
        // From here on, what was made goes when this is dropped.
        let this = Self { name: name.clone(), host: host.into(), cable: cable.clone() };
        ip(&format!("link add {cable} type veth peer name {other} netns {name}"))?;
        ip(&format!("addr add {host}/30 dev {cable}"))?;
        ip(&format!("-n {name} addr add {inside}/30 dev {other}"))?;
        ip(&format!("link set {cable} up"))?;
        ip(&format!("-n {name} link set {other} up"))?;
        ip(&format!("-n {name} link set lo up"))?;
        Ok(this)
    }

    /// Pulls the cable: what is sent gets lost, and nobody is told.
    pub fn pull(&self) {
        ip(&format!("link set {} down", self.cable)).unwrap();
    }

    /// Puts it back.
    pub fn plug(&self) {
        ip(&format!("link set {} up", self.cable)).unwrap();
    }

    /// Loses and delays packets to the inside, where the kernel can.
    ///
    /// # Errors
    /// What is missing.
    pub fn disturb(&self, loss_percent: u32, delay_ms: u32) -> Result<(), String> {
        let what = format!("netem loss {loss_percent}% delay {delay_ms}ms");
        run("tc", &format!("qdisc add dev {} root {what}", self.cable))
    }

    /// What `tc` has counted as dropped on the way to the inside.
    pub fn dropped(&self) -> u64 {
        let shown =
            super::support::tool("tc", "iproute2", ["-s", "qdisc", "show", "dev", &self.cable]);
        let dropped = shown.split("dropped ").nth(1).and_then(|rest| rest.split(',').next());
        dropped.and_then(|count| count.parse().ok()).unwrap_or_default()
    }

    /// A command that runs inside, in a process with the pid that is given back.
    pub fn wrap(&self, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.name]).arg(command.get_program());
        inside.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The cable goes with either of its ends; processes inside have been ended by then.
        let _ = ip(&format!("link del {}", self.cable));
        let _ = ip(&format!("netns del {}", self.name));
    }
}

fn ip(arguments: &str) -> Result<(), String> {
    run("ip", arguments)
}

fn run(program: &str, arguments: &str) -> Result<(), String> {
    let output = Command::new(program).args(arguments.split(' ')).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{program} {arguments}: {}", said.trim())),
    }
}
