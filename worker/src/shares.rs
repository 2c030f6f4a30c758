//! Reading mounted shares, whose calls may never come back.
//!
//! A call into a mount whose server is gone can't be cancelled: it hangs in the system until the server
//! is back, or for ever. So these calls run on threads of their own, not on the runtime's, which would
//! wait for them when the process ends. Where a call makes no progress, its thread is left behind. A
//! distribution point on which some calls hang is asked nothing more until they come back, so there are
//! never more such threads than [`HANGING_MAX`] for each.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Sender},
    },
};

use bytes::Bytes;
use prestage_access::Floor;
use tokio::{runtime::Handle, sync::oneshot};

/// Calls that may hang on one distribution point.
const HANGING_MAX: usize = 4;
/// Bytes that are read in one call of a thread.
const PIECE: u64 = 1 << 20;
/// Bytes that are asked of the system at once: progress is seen when they are there.
const STEP: usize = 64 << 10;

/// The system gives no thread: that is this machine's fault, not the share's.
#[derive(Debug, thiserror::Error)]
#[error("this machine gives no more threads: {0}")]
pub struct NoThread(#[source] io::Error);

/// Calls into mounted shares. Clones share their threads.
#[derive(Clone, Debug, Default)]
pub struct Shares {
    floor: Floor,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Sender<Job>>,
    /// Calls that were given up and have not come back, by distribution point.
    hanging: HashMap<String, usize>,
}

/// One call, and the way to the thread that makes it.
struct Job {
    call: Box<dyn FnOnce() + Send>,
    thread: Sender<Job>,
}

/// Bytes that a call has had so far.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Shares {
    /// Calls that must make the progress of `floor`.
    #[must_use]
    pub fn new(floor: Floor) -> Self {
        Self { floor, state: Arc::default() }
    }

    /// Makes a call that may hang on the distribution point `point`. It tells the counter what it has
    /// read.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] when it makes no progress.
    pub async fn call<T: Send + 'static>(
        &self,
        point: &str,
        work: impl FnOnce(&Counter) -> T + Send + 'static,
    ) -> io::Result<T> {
        self.refuse_hanging(point)?;
        let (counter, call) = (Counter::default(), Arc::new(Call::default()));
        let (give, mut given) = oneshot::channel();
        let (counting, calling) = (counter.clone(), call.clone());
        let (state, name) = (Arc::downgrade(&self.state), point.to_owned());
        self.start(Box::new(move || {
            // Whoever waited may have left.
            let _ = give.send(work(&counting));
            if calling.has_come_back() {
                came_back(&state, &name);
            }
        }))?;
        let mut seen = 0;
        loop {
            match tokio::time::timeout(self.floor.within, &mut given).await {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(_)) => return Err(io::Error::other("the thread that read it has died")),
                Err(_) if counter.get() - seen >= self.floor.bytes => seen = counter.get(),
                Err(_) => break,
            }
        }
        *self.state().hanging.entry(point.to_owned()).or_default() += 1;
        if call.is_given_up() {
            came_back(&Arc::downgrade(&self.state), point);
        }
        let problem = format!("the share does not answer: {}", self.floor);
        Err(io::Error::new(io::ErrorKind::TimedOut, problem))
    }

    /// A reader of what `open` opens, at most `bytes` of it. Blocking.
    ///
    /// # Errors
    /// When it can't be opened, or makes no progress.
    pub fn open(
        &self,
        point: &str,
        bytes: u64,
        runtime: &Handle,
        open: impl FnOnce() -> io::Result<Box<dyn Read + Send>> + Send + 'static,
    ) -> io::Result<Box<dyn Read + Send>> {
        let size = PIECE.min(bytes.saturating_add(1)) as usize;
        let first = self.call(point, move |counter| {
            let reader = open()?;
            Piece { reader, bytes: Vec::with_capacity(size), ended: false }.fill(size, counter)
        });
        let piece = runtime.block_on(first)??;
        let (shares, point, runtime) = (self.clone(), point.to_owned(), runtime.clone());
        Ok(Box::new(ShareReader { shares, point, runtime, piece: Some(piece), size, at: 0 }))
    }

    /// The bytes from `offset` on of a file that is open.
    ///
    /// # Errors
    /// When they are not all there, or it makes no progress.
    pub async fn read_at(
        &self,
        point: &str,
        file: Arc<File>,
        offset: u64,
        bytes: usize,
    ) -> io::Result<Bytes> {
        let read = self.call(point, move |counter| {
            let mut range = vec![0; bytes];
            let mut at = offset;
            for step in range.chunks_mut(STEP) {
                file.read_exact_at(step, at)?;
                counter.add(step.len());
                at += step.len() as u64;
            }
            Ok(Bytes::from(range))
        });
        read.await?
    }

    /// Opens a file to be read by ranges; gives its size too.
    ///
    /// # Errors
    /// When it can't be opened.
    pub async fn open_file(&self, point: &str, path: PathBuf) -> io::Result<(Arc<File>, u64)> {
        let opened = self.call(point, move |_| {
            let file = File::open(path)?;
            let size = file.metadata()?.len();
            Ok((Arc::new(file), size))
        });
        opened.await?
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse_hanging(&self, point: &str) -> io::Result<()> {
        let hanging = self.state().hanging.get(point).copied().unwrap_or_default();
        if hanging < HANGING_MAX {
            return Ok(());
        }
        let problem = format!("the share does not answer: {hanging} calls have not come back yet");
        Err(io::Error::new(io::ErrorKind::TimedOut, problem))
    }

    /// Hands a call to a thread that has nothing to do, or to a new one.
    fn start(&self, call: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        let idle = self.state().idle.pop();
        let thread = match idle {
            Some(thread) => thread,
            None => self.new_thread()?,
        };
        let job = Job { call, thread: thread.clone() };
        thread.send(job).map_err(|_| io::Error::other("a reading thread has died"))
    }

    fn new_thread(&self) -> io::Result<Sender<Job>> {
        let (thread, jobs) = mpsc::channel::<Job>();
        let state: Weak<Mutex<State>> = Arc::downgrade(&self.state);
        let started = std::thread::Builder::new().name("share".into()).spawn(move || {
            // It ends when nobody has a way to it any more.
            for Job { call, thread } in jobs {
                call();
                if let Some(state) = state.upgrade() {
                    state.lock().unwrap_or_else(PoisonError::into_inner).idle.push(thread);
                }
            }
        });
        started.map_err(|error| io::Error::other(NoThread(error)))?;
        Ok(thread)
    }
}

fn came_back(state: &Weak<Mutex<State>>, point: &str) {
    let Some(state) = state.upgrade() else {
        return;
    };
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(hanging) = state.hanging.get_mut(point) {
        *hanging = hanging.saturating_sub(1);
    }
}

/// Which happened first: that a call came back, or that it was given up. Each side asks once, and the
/// second is told so.
#[derive(Debug, Default)]
struct Call(AtomicBool);

impl Call {
    fn has_come_back(&self) -> bool {
        self.0.swap(true, Ordering::AcqRel)
    }

    fn is_given_up(&self) -> bool {
        self.0.swap(true, Ordering::AcqRel)
    }
}

/// A reader with what was read ahead of it.
struct Piece {
    reader: Box<dyn Read + Send>,
    bytes: Vec<u8>,
    ended: bool,
}

impl Piece {
    /// Reads until there are `size` bytes, or no more.
    fn fill(mut self, size: usize, counter: &Counter) -> io::Result<Self> {
        self.bytes.resize(size, 0);
        let mut end = 0;
        while end < size && !self.ended {
            let step = end..size.min(end + STEP);
            match self.reader.read(&mut self.bytes[step]) {
                Ok(0) => self.ended = true,
                Ok(read) => {
                    counter.add(read);
                    end += read;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.bytes.truncate(end);
        Ok(self)
    }
}

/// A file of a share, read piece by piece on another thread.
struct ShareReader {
    shares: Shares,
    point: String,
    runtime: Handle,
    /// None after an error.
    piece: Option<Piece>,
    size: usize,
    /// How much of the piece is taken.
    at: usize,
}

impl ShareReader {
    fn next_piece(&mut self) -> io::Result<()> {
        let lost = || io::Error::other("a share is read on after an error");
        let (piece, size) = (self.piece.take().ok_or_else(lost)?, self.size);
        let filled = self.shares.call(&self.point, move |counter| piece.fill(size, counter));
        self.piece = Some(self.runtime.block_on(filled)??);
        self.at = 0;
        Ok(())
    }
}

impl Read for ShareReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let taken = |piece: &Piece| self.at == piece.bytes.len() && !piece.ended;
        if self.piece.as_ref().is_none_or(taken) {
            self.next_piece()?;
        }
        let rest = self.piece.as_ref().map_or(&[][..], |piece| &piece.bytes[self.at..]);
        let take = rest.len().min(out.len());
        out[..take].copy_from_slice(&rest[..take]);
        self.at += take;
        Ok(take)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        path::Path,
        process::Command,
        time::{Duration, Instant},
    };

    use super::*;

    const WITHIN: Duration = Duration::from_millis(100);

    fn shares() -> Shares {
        Shares::new(Floor { bytes: 1000, within: WITHIN })
    }

    fn pipe(folder: &Path) -> PathBuf {
        let path = folder.join("pipe");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    fn hanging(shares: &Shares) -> usize {
        shares.state().hanging.get("dp").copied().unwrap_or_default()
    }

    fn until(condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < Duration::from_secs(20), "it never happened");
            std::thread::yield_now();
        }
    }

    fn opened(shares: &Shares, path: &Path, runtime: &Handle) -> io::Result<Box<dyn Read + Send>> {
        let path = path.to_owned();
        shares.open("dp", 10 << 20, runtime, move || Ok(Box::new(File::open(path)?)))
    }

    #[test]
    fn what_hangs_is_given_up_and_few_threads_are_left_behind() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (shares, pipe) = (shares(), pipe(folder.path()));
        // Opening a pipe hangs until somebody writes into it.
        for number in 1..=HANGING_MAX {
            let error = opened(&shares, &pipe, runtime.handle()).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
            assert_eq!(hanging(&shares), number);
        }
        let start = Instant::now();
        let error = opened(&shares, &pipe, runtime.handle()).err().unwrap();
        assert!(error.to_string().contains("4 calls"), "{error}");
        assert!(start.elapsed() < WITHIN, "it is not waited for again");
        // The server is back: so are the threads, and it is read again.
        drop(std::fs::OpenOptions::new().write(true).open(&pipe).unwrap());
        until(|| hanging(&shares) == 0);
        std::fs::write(folder.path().join("file"), "content").unwrap();
        let mut text = String::new();
        let file = folder.path().join("file");
        opened(&shares, &file, runtime.handle()).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "content");
    }

    /// Gives so many bytes at a time, each after a pause.
    struct Slow(usize, Duration);

    impl Read for Slow {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            std::thread::sleep(self.1);
            Ok(self.0.min(out.len()))
        }
    }

    #[test]
    fn a_trickle_is_given_up_and_a_slow_line_is_not() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let shares = shares();
        let slow = |bytes| Box::new(Slow(bytes, WITHIN / 5)) as Box<dyn Read + Send>;
        let read = |bytes: usize, of: u64| {
            let reader = shares.open("dp", of, runtime.handle(), move || Ok(slow(bytes)));
            io::copy(&mut reader?.take(of), &mut io::sink())
        };
        assert_eq!(read(10, 5_000).unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(read(1_000, 30_000).unwrap(), 30_000, "six times as long as the floor's time");
    }

    #[test]
    fn what_we_do_with_the_bytes_is_not_the_shares_slowness() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let content: Vec<u8> = (0..3_000_000u32).map(|number| number as u8).collect();
        File::create(&path).unwrap().write_all(&content).unwrap();
        let mut reader = opened(&shares(), &path, runtime.handle()).unwrap();
        let (mut read, mut piece) = (Vec::new(), vec![0; 900_000]);
        loop {
            std::thread::sleep(WITHIN * 2);
            match reader.read(&mut piece).unwrap() {
                0 => break,
                count => read.extend_from_slice(&piece[..count]),
            }
        }
        assert!(read == content);
        let shares = shares();
        let range = runtime.block_on(async {
            let (file, size) = shares.open_file("dp", path).await?;
            assert_eq!(size, 3_000_000);
            shares.read_at("dp", file, 70_000, 200_000).await
        });
        assert!(range.unwrap() == content[70_000..270_000]);
    }
}
