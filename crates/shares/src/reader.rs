//! Files of shares, read from their beginning to their end.

use std::io::{self, Read};

use crate::{Counter, Shares};

/// Bytes that are read in one call of a thread.
const PIECE: u64 = 1 << 20;
/// Bytes that are asked of the system at once: progress is seen when they are there.
pub(crate) const STEP: usize = 64 << 10;

impl Shares {
    /// A reader of what `open` opens, at most `bytes` of it. Blocking.
    ///
    /// # Errors
    /// When it can't be opened, or makes no progress.
    pub fn open(
        &self,
        point: &str,
        bytes: u64,
        open: impl FnOnce() -> io::Result<Box<dyn Read + Send>> + Send + 'static,
    ) -> io::Result<Box<dyn Read + Send>> {
        let size = PIECE.min(bytes.saturating_add(1)) as usize;
        let piece = self.call_blocking(point, move |counter| {
            let reader = open()?;
            Piece { reader, bytes: Vec::with_capacity(size), ended: false }.fill(size, counter)
        })??;
        let (shares, point) = (self.clone(), point.to_owned());
        Ok(Box::new(ShareReader { shares, point, piece: Some(piece), size, at: 0 }))
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
        let fill = move |counter: &Counter| piece.fill(size, counter);
        self.piece = Some(self.shares.call_blocking(&self.point, fill)??);
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
