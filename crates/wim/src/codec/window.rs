//! Files cut into windows, which pass through three stages at once: one is being read while
//! another is compressed and hashed and a third is written.
//!
//! A few windows go round; their buffers are used again, so memory is bounded whatever the files'
//! sizes are.

use std::{
    io::{self, Read},
    ops::Range,
    sync::{
        atomic::Ordering,
        mpsc::{self, Receiver, Sender},
    },
};

use super::file::{FileToEncode, Progress};
use crate::{
    error::{Result, WimError},
    hash::Sha1Hash,
};

/// Bytes of content in one window: enough chunks to keep many threads busy. A larger file begins a
/// window of its own, since what its first window comes to decides how all of it is stored.
pub const WINDOW_BYTES: usize = 8 << 20;

/// Windows that keep all stages busy: one for each, and one that waits between them. They go round, so
/// when all are full, nothing more is read.
pub const WINDOWS: usize = 4;

/// Memory that a window takes: its content, and what becomes of it.
pub const WINDOW_MEMORY: u64 = 2 * WINDOW_BYTES as u64;

/// Bytes of one file in a window.
pub(super) struct Span {
    /// Number of the file.
    pub file: usize,
    /// Where they lie in the window.
    pub range: Range<usize>,
    /// The file begins here.
    pub first: bool,
    /// The file ends here.
    pub last: bool,
    /// Hashes of the whole file, known once its last span was hashed.
    pub hashes: Option<(Sha1Hash, [u8; 32])>,
}

/// Some content on its way.
#[derive(Default)]
pub(super) struct Window {
    /// Content of the spans, back to back.
    pub data: Vec<u8>,
    /// A chunk that shrank lies where its content lies in `data`.
    pub packed: Vec<u8>,
    /// Stored bytes of each chunk, span by span; as many as its content for one that is plain.
    pub stored: Vec<u32>,
    /// Which files' bytes these are.
    pub spans: Vec<Span>,
}

impl Window {
    fn clear(&mut self) {
        self.data.clear();
        self.stored.clear();
        self.spans.clear();
    }

    /// The chunks of all spans as they are stored: range in the window, and the bytes.
    pub fn chunks(&self, chunk_bytes: usize) -> impl Iterator<Item = StoredChunk<'_>> {
        let ranges = self.spans.iter().flat_map(move |span| chunk_ranges(span, chunk_bytes));
        ranges.zip(&self.stored).map(|(range, &stored)| {
            let shrank = (stored as usize) < range.len();
            let end = range.start + stored as usize;
            let bytes = if shrank { &self.packed[range.start..end] } else { &self.data[range] };
            StoredChunk { bytes, shrank }
        })
    }
}

/// A chunk as it is stored.
#[derive(Clone, Copy)]
pub(super) struct StoredChunk<'a> {
    pub bytes: &'a [u8],
    pub shrank: bool,
}

/// Where the chunks of a span lie in its window.
pub(super) fn chunk_ranges(
    span: &Span,
    chunk_bytes: usize,
) -> impl Iterator<Item = Range<usize>> + use<> {
    let Range { start, end } = span.range;
    (start..end).step_by(chunk_bytes).map(move |at| at..end.min(at + chunk_bytes))
}

/// Work that stopped, and the number of the file that it was about.
pub(super) type Stopped = (usize, WimError);

/// Passes all files through: `work` fills in what becomes of a window's content on a thread of its
/// own, `write` takes the windows in order on the caller's. With a single window, the stages take turns.
pub(super) fn pass(
    files: &[FileToEncode],
    windows: usize,
    progress: &Progress,
    mut work: impl FnMut(&mut Window) -> Result<()> + Send,
    mut write: impl FnMut(&Window) -> Result<()>,
) -> std::result::Result<(), Stopped> {
    std::thread::scope(|scope| {
        let (give_back, free) = mpsc::channel();
        for _ in 0..windows.max(1) {
            // The receiver is right here.
            let _ = give_back.send(Window::default());
        }
        let (filled, full) = mpsc::channel();
        let (finished, done) = mpsc::channel();
        let reading = scope.spawn(move || Reader { free, filled }.read(files));
        let working = scope.spawn(move || -> std::result::Result<(), Stopped> {
            for mut window in full {
                let file = number_of(&window);
                work(&mut window).map_err(|error| (file, error))?;
                // The writer may have stopped with an error of its own.
                if finished.send(window).is_err() {
                    break;
                }
            }
            Ok(())
        });
        write_all(done, give_back, progress, &mut write)?;
        let worked = working.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let read = reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        worked?;
        read.map_err(|(file, error)| (file, error.into()))
    })
}

fn number_of(window: &Window) -> usize {
    window.spans.first().map_or(0, |span| span.file)
}

/// Takes the windows by value: when it returns early, the stages before it see that nobody listens.
fn write_all(
    done: Receiver<Window>,
    give_back: Sender<Window>,
    progress: &Progress,
    write: &mut impl FnMut(&Window) -> Result<()>,
) -> std::result::Result<(), Stopped> {
    for mut window in done {
        let file = number_of(&window);
        if progress.cancelled.load(Ordering::Relaxed) {
            return Err((file, io::Error::new(io::ErrorKind::Interrupted, "cancelled").into()));
        }
        write(&window).map_err(|error| (file, error))?;
        progress.bytes_done.fetch_add(window.data.len() as u64, Ordering::Relaxed);
        window.clear();
        // The reader may have read all there is.
        let _ = give_back.send(window);
    }
    Ok(())
}

/// The first stage.
struct Reader {
    free: Receiver<Window>,
    filled: Sender<Window>,
}

/// Nobody takes the windows any more.
struct Unwanted;

impl Reader {
    /// Reads all files. Stops quietly when nobody takes the windows any more.
    fn read(self, files: &[FileToEncode]) -> std::result::Result<(), (usize, io::Error)> {
        let Ok(mut window) = self.free.recv() else {
            return Ok(());
        };
        for (number, file) in files.iter().enumerate() {
            match self.read_file(number, file, window) {
                Ok(Ok(current)) => window = current,
                Ok(Err(Unwanted)) => return Ok(()),
                Err(error) => return Err((number, error)),
            }
        }
        if !window.spans.is_empty() {
            // An error here means that a later stage has stopped with an error of its own.
            let _ = self.filled.send(window);
        }
        Ok(())
    }

    fn read_file(
        &self,
        number: usize,
        file: &FileToEncode,
        mut window: Window,
    ) -> io::Result<std::result::Result<Window, Unwanted>> {
        let mut reader = (file.open)()?;
        let mut left = file.bytes;
        let mut first = true;
        while left > 0 {
            let room = WINDOW_BYTES - window.data.len();
            // What fits into a window is not cut, and what does not begins a new one.
            if room == 0 || (first && left > room as u64 && !window.data.is_empty()) {
                window = match self.pass_on(window) {
                    Ok(next) => next,
                    Err(unwanted) => return Ok(Err(unwanted)),
                };
                continue;
            }
            let take = left.min(room as u64);
            let start = window.data.len();
            window.data.reserve(take as usize);
            let read = (&mut reader).take(take).read_to_end(&mut window.data)?;
            if read as u64 != take {
                return Err(wrong_size(file.bytes, "shorter"));
            }
            left -= take;
            let range = start..window.data.len();
            window.spans.push(Span { file: number, range, first, last: left == 0, hashes: None });
            first = false;
        }
        if reader.read(&mut [0u8; 1])? != 0 {
            return Err(wrong_size(file.bytes, "longer"));
        }
        Ok(Ok(window))
    }

    fn pass_on(&self, window: Window) -> std::result::Result<Window, Unwanted> {
        self.filled.send(window).map_err(|_| Unwanted)?;
        self.free.recv().map_err(|_| Unwanted)
    }
}

fn wrong_size(expected: u64, how: &str) -> io::Error {
    let problem = format!("the file is {how} than the {expected} bytes that were listed");
    io::Error::new(io::ErrorKind::InvalidData, problem)
}
