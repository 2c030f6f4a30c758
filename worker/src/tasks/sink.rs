//! A pack as the encoder's sink.

use std::{collections::HashMap, io};

use prestage_store::pack::{self, PackWriter};
use prestage_wim::codec::{Reservation, ResourceSink};

/// Appends resources to a pack that is being written.
pub struct PackSink {
    writer: PackWriter,
    rooms: HashMap<u64, pack::Reservation>,
}

impl PackSink {
    /// A sink at the writer's end.
    pub fn new(writer: PackWriter) -> Self {
        Self { writer, rooms: HashMap::new() }
    }

    /// The writer, to finish it.
    pub fn into_writer(self) -> PackWriter {
        self.writer
    }
}

impl ResourceSink for PackSink {
    fn position(&self) -> u64 {
        self.writer.position()
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.append(bytes).map_err(io::Error::other)
    }

    fn reserve(&mut self, bytes: u64) -> io::Result<Reservation> {
        let room = self.writer.reserve(bytes).map_err(io::Error::other)?;
        let offset = room.offset();
        self.rooms.insert(offset, room);
        Ok(Reservation { offset, bytes })
    }

    fn fill(&mut self, room: Reservation, bytes: &[u8]) -> io::Result<()> {
        let unknown = || io::Error::other("room that was not left is to be filled");
        let room = self.rooms.remove(&room.offset).ok_or_else(unknown)?;
        self.writer.fill(room, bytes).map_err(io::Error::other)
    }

    fn rewind(&mut self, offset: u64) -> io::Result<()> {
        self.rooms.retain(|&start, _| start < offset);
        self.writer.rewind(offset).map_err(io::Error::other)
    }
}
