//! A TCP relay on this machine that holds, slows and cuts what goes through it.

use std::{
    io::{Read, Write},
    net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// What passes at once: a delay is one of so many bytes.
const PIECE: usize = 16 << 10;

/// What a line does to what goes through it.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// Nothing passes and nothing is closed, as on a network that has come apart.
    pub silent: bool,
    /// Bytes a second of each connection, either way; 0 for all there are.
    pub bytes_per_second: u64,
    /// Before each piece.
    pub delay: Duration,
    /// Each time that so many bytes have passed, the connection that they passed on is cut; 0 for
    /// never.
    pub cut_every: u64,
    /// But no more often than this.
    pub cuts_max: u64,
}

impl Line {
    /// All passes as it comes.
    pub const WHOLE: Self = Self {
        silent: false,
        bytes_per_second: 0,
        delay: Duration::ZERO,
        cut_every: 0,
        cuts_max: 0,
    };
}

/// A relay, and the line that it stands for.
pub struct Relay {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    line: Mutex<Line>,
    changed: Condvar,
    live: Mutex<Vec<TcpStream>>,
    carried: AtomicU64,
    cut: AtomicU64,
    unanswered: AtomicU64,
    over: AtomicBool,
}

impl Relay {
    /// A relay at any port of `ip` that passes all on to `target`.
    pub fn start(ip: IpAddr, target: SocketAddr, line: Line) -> Self {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            line: Mutex::new(line),
            changed: Condvar::new(),
            live: Mutex::default(),
            carried: AtomicU64::new(0),
            cut: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            over: AtomicBool::new(false),
        });
        let accepting = state.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if accepting.over.load(Ordering::Relaxed) {
                    return;
                }
                let state = accepting.clone();
                thread::spawn(move || state.connect(client, target));
            }
        });
        Self { address, state }
    }

    /// From now on it is like this.
    pub fn set(&self, line: Line) {
        *self.state.line.lock().unwrap() = line;
        self.state.changed.notify_all();
    }

    /// What it is now.
    pub fn line(&self) -> Line {
        *self.state.line.lock().unwrap()
    }

    /// Cuts all that is open; gives how many connections these were.
    pub fn cut(&self) -> usize {
        let ends = std::mem::take(&mut *self.state.live.lock().unwrap());
        // Those whose ends are gone have been closed by others.
        let cut = ends.iter().filter(|end| end.shutdown(Shutdown::Both).is_ok()).count();
        self.state.cut.fetch_add(cut as u64 / 2, Ordering::Relaxed);
        cut / 2
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        let mut live = self.state.live.lock().unwrap();
        live.retain(|end| end.peer_addr().is_ok());
        live.len() / 2
    }

    /// Connections that were cut so far.
    pub fn cuts(&self) -> u64 {
        self.state.cut.load(Ordering::Relaxed)
    }

    /// Connections so far behind which nobody listened.
    pub fn unanswered(&self) -> u64 {
        self.state.unanswered.load(Ordering::Relaxed)
    }

    /// Bytes that passed so far.
    pub fn carried(&self) -> u64 {
        self.state.carried.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
        self.set(Line::WHOLE);
        self.cut();
        // Wakes the one that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn connect(self: Arc<Self>, client: TcpStream, target: SocketAddr) {
        let Ok(server) = TcpStream::connect(target) else {
            self.unanswered.fetch_add(1, Ordering::Relaxed);
            return;
        };
        for end in [&client, &server] {
            // One that is closed already shows below.
            let _ = end.set_nodelay(true);
        }
        {
            let mut live = self.live.lock().unwrap();
            live.retain(|end| end.peer_addr().is_ok());
            live.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
        }
        let (back, forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        let state = self.clone();
        thread::spawn(move || state.pump(back, forth));
        self.pump(client, server);
    }

    /// Carries one way until an end closes.
    fn pump(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut piece = vec![0; PIECE];
        while let Ok(count @ 1..) = from.read(&mut piece) {
            let line = self.changed.wait_while(self.line.lock().unwrap(), |line| line.silent);
            let line = *line.unwrap();
            let takes = (count as u64 * 1_000_000).checked_div(line.bytes_per_second);
            thread::sleep(line.delay + Duration::from_micros(takes.unwrap_or_default()));
            let before = self.carried.fetch_add(count as u64, Ordering::Relaxed);
            if self.is_to_cut(line, before, before + count as u64) {
                let _ = from.shutdown(Shutdown::Both);
                let _ = to.shutdown(Shutdown::Both);
                return;
            }
            if to.write_all(&piece[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
        let _ = from.shutdown(Shutdown::Read);
    }

    fn is_to_cut(&self, line: Line, before: u64, after: u64) -> bool {
        let marks = |bytes: u64| bytes.checked_div(line.cut_every).unwrap_or_default();
        let is_due = marks(after) > marks(before);
        is_due
            && self
                .cut
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |cut| {
                    (cut < line.cuts_max).then_some(cut + 1)
                })
                .is_ok()
    }
}
