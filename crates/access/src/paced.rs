//! Reading at the pace of a server that is reached in another way than HTTP: over a mounted share.

use std::io::{self, Read};

use jiff::Zoned;
use tokio::runtime::Handle;

use crate::limits::Limits;

/// A reader that is no faster than a server's limits allow.
pub(crate) struct Paced {
    inner: Box<dyn Read + Send>,
    limits: Limits,
    runtime: Handle,
}

impl Paced {
    pub(crate) fn new(inner: Box<dyn Read + Send>, limits: Limits, runtime: Handle) -> Self {
        Self { inner, limits, runtime }
    }
}

impl Read for Paced {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.runtime.block_on(self.limits.take(count as u64, &Zoned::now()));
        Ok(count)
    }
}
