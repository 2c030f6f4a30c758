//! Where resources go: a pack, a WIM, memory.

use std::io;

/// Where resources go: a pack being written.
pub trait ResourceSink {
    /// Bytes appended or reserved so far.
    fn position(&self) -> u64;
    /// Appends bytes.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Leaves room for bytes that are known later.
    fn reserve(&mut self, bytes: u64) -> io::Result<Reservation>;
    /// Fills reserved room, wholly.
    fn fill(&mut self, room: Reservation, bytes: &[u8]) -> io::Result<()>;
    /// Takes back everything from `offset` on; what is appended next begins there.
    fn rewind(&mut self, offset: u64) -> io::Result<()>;
}

/// Room that was left in a sink.
#[derive(Debug)]
pub struct Reservation {
    /// Where it begins.
    pub offset: u64,
    /// Its length in bytes.
    pub bytes: u64,
}

/// Resources in memory: for metadata and for files of a few KiB, never for content.
#[derive(Debug, Default)]
pub struct MemorySink(pub Vec<u8>);

impl ResourceSink for MemorySink {
    fn position(&self) -> u64 {
        self.0.len() as u64
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn reserve(&mut self, bytes: u64) -> io::Result<Reservation> {
        let offset = self.position();
        self.0.resize(self.0.len() + bytes as usize, 0);
        Ok(Reservation { offset, bytes })
    }

    fn fill(&mut self, room: Reservation, bytes: &[u8]) -> io::Result<()> {
        crate::bytes::put(&mut self.0, room.offset as usize, bytes);
        Ok(())
    }

    fn rewind(&mut self, offset: u64) -> io::Result<()> {
        self.0.truncate(offset as usize);
        Ok(())
    }
}
