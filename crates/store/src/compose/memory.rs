//! Parts whose bytes must come here, because no server takes them from where they are.

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::PutPayload;

use super::error::ComposeError;
use super::{PIECE, PIECES, Part, Source};

/// Most bytes of a part, or of a piece of one, that are held in memory to be sent.
pub const MAX_THROUGH_MEMORY: u64 = 40 * 1024 * 1024;

/// The ranges (offset, bytes) that `len` bytes are handled in, `step` bytes each but the last.
pub(super) fn steps(len: u64, step: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..len.div_ceil(step)).map(move |number| {
        let at = number * step;
        (at, step.min(len - at))
    })
}

/// Reads a whole part. It stays in memory until the server has it, for it may be sent again.
pub(super) async fn read_part(dst: &str, part: &Part) -> Result<PutPayload, ComposeError> {
    if part.len > MAX_THROUGH_MEMORY {
        return Err(ComposeError::LargePart {
            number: part.number,
            dst: dst.to_owned(),
            len: part.len,
            max: MAX_THROUGH_MEMORY,
        });
    }
    read(&part.source, 0, part.len).await
}

/// Reads `len` bytes of a source, from `at` behind its beginning.
pub(super) async fn read(source: &Source, at: u64, len: u64) -> Result<PutPayload, ComposeError> {
    let Source { objects, key, offset, if_match } = source;
    let read: Vec<Bytes> = stream::iter(steps(len, PIECE))
        .map(|(piece, bytes)| {
            let start = offset + at + piece;
            objects.get_range_if(key, start..start + bytes, if_match.as_deref())
        })
        .buffered(PIECES)
        .try_collect()
        .await?;
    Ok(PutPayload::from_iter(read))
}
