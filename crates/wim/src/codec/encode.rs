//! Files in, resources out: bounded memory, all threads, each byte read once.
//!
//! Three stages work at once on different windows of the files ([`super::window`]): reading,
//! hashing and compressing, writing. A file larger than a window reserves room for its chunk table
//! and fills it in when its last chunk is known.

use std::sync::Arc;

use rayon::ThreadPool;

use super::{
    Codec, EncodedFile, FileToEncode, Progress, ResourceSink,
    packing::{Compressors, LargeFiles, Packing},
    resource_writer::ResourceWriter,
    run::{EncodedRun, RunWriter},
    window,
};
use crate::error::{Result, WimError};

/// Encodes files with one codec on one thread pool.
pub struct Encoder {
    codec: Codec,
    pool: Arc<ThreadPool>,
    compressors: Compressors,
    windows: usize,
}

impl Encoder {
    /// An encoder that uses `pool`'s threads.
    pub fn new(codec: Codec, pool: Arc<ThreadPool>) -> Self {
        Self { codec, pool, compressors: Compressors::new(codec), windows: window::WINDOWS }
    }

    /// The same with so many windows of content in memory ([`window::WINDOW_MEMORY`] each).
    #[must_use]
    pub fn with_windows(self, windows: usize) -> Self {
        Self { windows, ..self }
    }

    /// Encodes `files` in order into `sink`. An error names the number of the file it is about.
    pub fn encode(
        &self,
        files: &[FileToEncode],
        sink: &mut dyn ResourceSink,
        progress: &Progress,
    ) -> std::result::Result<Vec<EncodedFile>, (usize, WimError)> {
        let mut packing = Packing::new(&self.compressors, &self.pool, LargeFiles::ByFirstWindow);
        let mut writer = ResourceWriter::new(self.codec, files, sink);
        let work = |window: &mut _| packing.work(window);
        window::pass(files, self.windows, progress, work, |window| writer.write(window))?;
        Ok(writer.into_done())
    }

    /// Encodes a run: a stretch of a large file that begins at a chunk's start, to be joined with
    /// the file's other runs ([`super::join`]). `run` opens the file at the run's start.
    ///
    /// Only chunks that shrank go into `sink`: whoever joins the runs reads the file too, and takes
    /// the others from there.
    pub fn encode_run(
        &self,
        run: FileToEncode,
        sink: &mut dyn ResourceSink,
        progress: &Progress,
    ) -> Result<EncodedRun> {
        let mut packing = Packing::new(&self.compressors, &self.pool, LargeFiles::Tried);
        let mut writer = RunWriter::new(self.codec, sink);
        let work = |window: &mut _| packing.work(window);
        let passed =
            window::pass(&[run], self.windows, progress, work, |window| writer.write(window));
        passed.map_err(|(_, error)| error)?;
        writer.into_done()
    }
}
