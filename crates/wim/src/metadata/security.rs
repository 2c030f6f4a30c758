//! The security descriptors at the beginning of a metadata resource (wimlib 1.14.4 `security.c`).

use super::entry::align8;
use crate::{
    bytes::{Le, put},
    error::{Result, WimError},
};

/// All descriptors of an image, in the order that entries name them by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecurityDescriptors {
    descriptors: Vec<Vec<u8>>,
}

impl SecurityDescriptors {
    /// Reads the block; also returns its length, at which the root entry begins.
    pub fn parse(metadata: &[u8]) -> Result<(Self, usize)> {
        let malformed = |problem: &str| WimError::malformed("security data", 0, problem);
        if metadata.len() < 8 {
            return Err(malformed("it is cut off"));
        }
        let total = (metadata.u32_at(0) as usize).max(8);
        let count = metadata.u32_at(4) as usize;
        let sizes_end = count.checked_mul(8).and_then(|bytes| bytes.checked_add(8));
        let sizes_end = sizes_end.filter(|&end| end <= total && total <= metadata.len());
        let sizes_end = sizes_end.ok_or_else(|| malformed("its sizes do not fit into it"))?;
        let mut at = sizes_end;
        let mut descriptors = Vec::with_capacity(count);
        for index in 0..count {
            let size = usize::try_from(metadata.u64_at(8 + 8 * index)).ok();
            let end = size.and_then(|size| at.checked_add(size)).filter(|&end| end <= total);
            let end = end.ok_or_else(|| malformed("a descriptor does not fit into it"))?;
            descriptors.push(metadata[at..end].to_vec());
            at = end;
        }
        Ok((Self { descriptors }, align8(total)))
    }

    /// The index of `descriptor`, which is added if it isn't there.
    pub fn add(&mut self, descriptor: &[u8]) -> u32 {
        let known = self.descriptors.iter().position(|known| known == descriptor);
        known.unwrap_or_else(|| {
            self.descriptors.push(descriptor.to_vec());
            self.descriptors.len() - 1
        }) as u32
    }

    /// The descriptor of an entry, if it has one.
    pub fn get(&self, security_id: u32) -> Option<&[u8]> {
        self.descriptors.get(security_id as usize).map(Vec::as_slice)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.descriptors.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.descriptors.is_empty()
    }

    /// The block's bytes, padded to 8.
    pub fn write(&self) -> Vec<u8> {
        let mut out = vec![0; 8];
        for descriptor in &self.descriptors {
            out.extend_from_slice(&(descriptor.len() as u64).to_le_bytes());
        }
        for descriptor in &self.descriptors {
            out.extend_from_slice(descriptor);
        }
        out.resize(align8(out.len()), 0);
        let total = out.len() as u32;
        put(&mut out, 0, &total.to_le_bytes());
        put(&mut out, 4, &(self.descriptors.len() as u32).to_le_bytes());
        out
    }
}
