//! The last stage: windows become resources in a sink.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

use super::{
    Codec, EncodedFile, FileToEncode, Reservation, ResourceSink,
    table::{is_worth_compressing, table_bytes, table_length},
    window::{Span, StoredChunk, Window},
};
use crate::{error::Result, hash::Sha1Hash};

/// Appends the resources of files in order.
pub(super) struct ResourceWriter<'a> {
    codec: Codec,
    files: &'a [FileToEncode],
    sink: &'a mut dyn ResourceSink,
    open: Option<OpenFile>,
    done: Vec<EncodedFile>,
}

/// A file that is larger than a window, while it passes.
struct OpenFile {
    offset: u64,
    /// Room for its chunk table; none when it is stored plain.
    table: Option<Reservation>,
    /// Stored bytes of each chunk so far.
    sizes: Vec<u32>,
}

impl<'a> ResourceWriter<'a> {
    pub fn new(codec: Codec, files: &'a [FileToEncode], sink: &'a mut dyn ResourceSink) -> Self {
        Self { codec, files, sink, open: None, done: Vec::with_capacity(files.len()) }
    }

    /// What became of the files.
    pub fn into_done(self) -> Vec<EncodedFile> {
        self.done
    }

    /// Appends a window's resources.
    pub fn write(&mut self, window: &Window) -> Result<()> {
        let chunk_bytes = self.codec.chunk_bytes as usize;
        let chunks: Vec<StoredChunk<'_>> = window.chunks(chunk_bytes).collect();
        let mut chunks = chunks.as_slice();
        for span in &window.spans {
            let (of_span, rest) = chunks.split_at(span.range.len().div_ceil(chunk_bytes));
            chunks = rest;
            if span.first && span.last {
                self.write_small(span, &window.data[span.range.clone()], of_span)?;
            } else {
                self.write_part(span, of_span)?;
            }
        }
        Ok(())
    }

    fn write_small(&mut self, span: &Span, data: &[u8], chunks: &[StoredChunk<'_>]) -> Result<()> {
        let original = data.len() as u64;
        let sizes: Vec<u32> = chunks.iter().map(|chunk| chunk.bytes.len() as u32).collect();
        let compressed = is_worth_compressing(original, self.codec.chunk_bytes, &sizes);
        let offset = self.sink.position();
        if compressed {
            self.sink.append(&table_bytes(sizes.into_iter(), original))?;
            for chunk in chunks {
                self.sink.append(chunk.bytes)?;
            }
        } else {
            self.sink.append(data)?;
        }
        self.close(span, offset, compressed)
    }

    fn write_part(&mut self, span: &Span, chunks: &[StoredChunk<'_>]) -> Result<()> {
        let mut file = match self.open.take() {
            Some(file) if !span.first => file,
            _ => self.begin(self.files[span.file].bytes, chunks)?,
        };
        for chunk in chunks {
            self.sink.append(chunk.bytes)?;
            if file.table.is_some() {
                file.sizes.push(chunk.bytes.len() as u32);
            }
        }
        if span.last {
            return self.finish(span, file);
        }
        self.open = Some(file);
        Ok(())
    }

    fn begin(&mut self, original: u64, first_window: &[StoredChunk<'_>]) -> Result<OpenFile> {
        let offset = self.sink.position();
        let length = table_length(original, self.codec.chunk_bytes);
        let table = match first_window.iter().any(|chunk| chunk.shrank) {
            true => Some(self.sink.reserve(length)?),
            false => None,
        };
        Ok(OpenFile { offset, table, sizes: Vec::new() })
    }

    fn finish(&mut self, span: &Span, file: OpenFile) -> Result<()> {
        let source = &self.files[span.file];
        let Some(room) = file.table else {
            return self.close(span, file.offset, false);
        };
        let compressed = is_worth_compressing(source.bytes, self.codec.chunk_bytes, &file.sizes);
        self.sink.fill(room, &table_bytes(file.sizes.into_iter(), source.bytes))?;
        if !compressed {
            let sha256 = hashes(span)?.1;
            self.sink.rewind(file.offset)?;
            append_plain(self.sink, source, &sha256)?;
        }
        self.close(span, file.offset, compressed)
    }

    fn close(&mut self, span: &Span, offset: u64, compressed: bool) -> Result<()> {
        let (sha1, sha256) = hashes(span)?;
        self.done.push(EncodedFile {
            offset,
            stored_bytes: self.sink.position() - offset,
            original_bytes: self.files[span.file].bytes,
            compressed,
            sha1,
            sha256,
        });
        Ok(())
    }
}

fn hashes(span: &Span) -> Result<(Sha1Hash, [u8; 32])> {
    let missing = || io::Error::other("a file's end came without its hashes");
    Ok(span.hashes.ok_or_else(missing)?)
}

/// Reads a file once more and appends it as it is.
fn append_plain(
    sink: &mut dyn ResourceSink,
    source: &FileToEncode,
    sha256: &[u8; 32],
) -> Result<()> {
    let mut reader = (source.open)()?.take(source.bytes);
    let mut piece = vec![0u8; 1 << 20];
    let mut hasher = Sha256::new();
    loop {
        let read = reader.read(&mut piece)?;
        if read == 0 {
            break;
        }
        hasher.update(&piece[..read]);
        sink.append(&piece[..read])?;
    }
    if hasher.finalize()[..] != sha256[..] {
        let problem = "the file changed between two reads of it";
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem).into());
    }
    Ok(())
}
