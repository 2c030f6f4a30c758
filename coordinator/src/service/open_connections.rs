//! How many connections are open at once: so many of those who have shown a certificate, so many of others,
//! and of each caller only a part of them.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prestage_telemetry::Number;
use prestage_trust::Principal;
use rustix::process::{Resource, getrlimit};
use tokio::time::Instant;

use super::places::{Full, Place, Places};

/// Connections of callers with a certificate: a factory has thousands of workers, each with one or two.
const CONNECTIONS_MAX: usize = 8192;
/// Connections of one caller with a certificate. Workers and scripts of one name may be many.
const CONNECTIONS_OF_CALLER_MAX: usize = 1024;
/// Connections of all others: people with tokens, probes, workers that are enrolled. They take nothing from
/// those who have a certificate.
const STRANGERS_MAX: usize = 2048;
/// Connections of others from one address (IPv6: from one /64 network, which is what one household gets).
const STRANGERS_OF_ADDRESS_MAX: usize = 256;
/// Where there is no trust file all are alike: whoever reaches the coordinator is trusted. One address is a
/// machine with a test's fleet.
const UNTOLD_OF_ADDRESS_MAX: usize = 4096;
/// Refusals are told this often at most: a flood of connections must not be one of lines.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// The connections that are open.
pub(super) struct OpenConnections {
    known: Kind,
    strangers: Kind,
}

struct Kind {
    name: &'static str,
    places: Arc<Places>,
    refusals: Refusals,
}

/// An open connection's place.
pub(super) struct OpenConnection {
    kind: &'static str,
    _place: Place,
}

impl OpenConnections {
    /// Room for as many connections as the process may have files for, up to the limits above.
    pub fn new(has_trust: bool) -> Self {
        // Half of the files are for the database, the store and the site.
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / 2;
        Self::with_files(has_trust, usize::try_from(files).unwrap_or(usize::MAX))
    }

    /// Room for so many in all.
    pub fn with_files(has_trust: bool, files: usize) -> Self {
        let (of_address, strangers) = match has_trust {
            true => (STRANGERS_OF_ADDRESS_MAX, STRANGERS_MAX.min(files / 4)),
            false => (UNTOLD_OF_ADDRESS_MAX, CONNECTIONS_MAX.min(files)),
        };
        let known = CONNECTIONS_MAX.min(files.saturating_sub(strangers));
        Self {
            known: Kind::new("known", Places::new(CONNECTIONS_OF_CALLER_MAX, known)),
            strangers: Kind::new("stranger", Places::new(of_address, strangers)),
        }
    }

    /// A place for a connection; none if there is no room, which is told now and then.
    pub fn admit(
        &self,
        principal: Option<&Principal>,
        address: Option<SocketAddr>,
    ) -> Option<OpenConnection> {
        match principal {
            Some(principal) => self.known.admit(&principal.identity.to_string()),
            None => self.strangers.admit(&address.map(network).unwrap_or_default()),
        }
    }
}

impl Kind {
    fn new(name: &'static str, places: Arc<Places>) -> Self {
        // Seen from the start, so that its absence means something.
        metrics::gauge!(Number::Connections.name(), "who" => name).set(0.0);
        metrics::counter!(Number::ConnectionsRefused.name(), "who" => name).absolute(0);
        Self { name, places, refusals: Refusals::default() }
    }

    fn admit(&self, caller: &str) -> Option<OpenConnection> {
        match self.places.take(caller) {
            Ok(place) => {
                metrics::gauge!(Number::Connections.name(), "who" => self.name).increment(1.0);
                Some(OpenConnection { kind: self.name, _place: place })
            }
            Err(full) => {
                self.refuse(caller, full);
                None
            }
        }
    }

    fn refuse(&self, caller: &str, full: Full) {
        metrics::counter!(Number::ConnectionsRefused.name(), "who" => self.name).increment(1);
        let Some(refused) = self.refusals.count(Instant::now()) else {
            return;
        };
        let who = self.name;
        match full {
            Full::Caller(limit) => tracing::warn!(
                who,
                caller,
                limit,
                refused,
                "connections are refused: one caller has as many open as one may have"
            ),
            Full::All(limit) => tracing::warn!(
                who,
                caller,
                limit,
                refused,
                "connections are refused: as many are open as there may be (see docs/limits.md; \
                 LimitNOFILE, where the limit is below that)"
            ),
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        metrics::gauge!(Number::Connections.name(), "who" => self.kind).decrement(1.0);
    }
}

/// What there is one line a minute about, at most.
#[derive(Default)]
pub(super) struct Refusals(Mutex<(Option<Instant>, u64)>);

impl Refusals {
    /// Counts one. Once a minute: how many there were since it was told last.
    pub fn count(&self, now: Instant) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.1 += 1;
        if told.0.is_some_and(|last| now.duration_since(last) < TELL_EVERY) {
            return None;
        }
        told.0 = Some(now);
        Some(std::mem::take(&mut told.1))
    }
}

/// Whom an address counts for.
pub(super) fn network(address: SocketAddr) -> String {
    match address.ip().to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use prestage_trust::Identity;

    use super::*;

    fn user(name: &str) -> Principal {
        Principal { identity: Identity::User(name.into()), groups: Vec::new(), until: None }
    }

    #[test]
    fn strangers_take_nothing_from_who_is_known_and_no_address_takes_all() {
        let open = OpenConnections::with_files(true, 1 << 20);
        let from = |last: u8| Some(SocketAddr::from(([10, 0, 0, last], 4711)));
        let mut held = Vec::new();
        for _ in 0..STRANGERS_OF_ADDRESS_MAX {
            held.push(open.admit(None, from(1)).unwrap());
        }
        assert!(open.admit(None, from(1)).is_none(), "one address has its share");
        for address in 2..=8 {
            for _ in 0..STRANGERS_OF_ADDRESS_MAX {
                held.push(open.admit(None, from(address)).unwrap());
            }
        }
        assert_eq!(held.len(), STRANGERS_MAX);
        assert!(open.admit(None, from(9)).is_none(), "strangers have theirs");
        let workers =
            (0..CONNECTIONS_MAX).map(|n| open.admit(Some(&user(&n.to_string())), from(1)));
        let workers: Vec<_> = workers.collect();
        assert!(workers.iter().all(Option::is_some), "a factory behind one address");
        assert!(open.admit(Some(&user("one more")), from(1)).is_none());
        drop(held);
        open.admit(None, from(1)).unwrap();
    }

    #[test]
    fn one_caller_has_a_share_and_few_files_leave_room_for_the_rest() {
        let open = OpenConnections::with_files(true, 1 << 20);
        let all: Vec<_> = (0..=CONNECTIONS_OF_CALLER_MAX)
            .map(|_| open.admit(Some(&user("alice")), None))
            .collect();
        assert_eq!(all.iter().flatten().count(), CONNECTIONS_OF_CALLER_MAX);
        open.admit(Some(&user("bob")), None).unwrap();
        let open = OpenConnections::with_files(true, 512);
        let known = (0..512).map(|n| open.admit(Some(&user(&n.to_string())), None));
        assert_eq!(known.collect::<Vec<_>>().iter().flatten().count(), 384);
    }

    #[test]
    fn addresses_of_a_network_are_one_caller() {
        let network = |address: &str| network(SocketAddr::new(address.parse().unwrap(), 1));
        assert_eq!(network("2001:db8:1:2:3::4"), network("2001:db8:1:2:ffff::"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:10.0.0.1"), "10.0.0.1");
    }

    #[test]
    fn refusals_are_told_once_a_minute() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        assert_eq!(refusals.count(now), Some(1));
        for _ in 0..100 {
            assert_eq!(refusals.count(now + TELL_EVERY / 2), None);
        }
        assert_eq!(refusals.count(now + TELL_EVERY), Some(101));
    }
}
