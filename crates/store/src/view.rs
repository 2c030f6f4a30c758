//! Reads a volume that isn't composed yet, through its recipe: for its verification before it
//! appears under its final name.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::error::StoreError;
use crate::keys::ObjectKey;
use crate::objects::Objects;
use crate::recipe::{Recipe, SegmentSource};

/// A volume as its recipe says that it will be. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ComposedView {
    objects: Objects,
    glue: ObjectKey,
    recipe: Arc<Recipe>,
}

impl ComposedView {
    /// A view of the volume whose packs and object `glue` lie in `objects`.
    pub fn new(objects: &Objects, glue: ObjectKey, recipe: Arc<Recipe>) -> Self {
        Self { objects: objects.clone(), glue, recipe }
    }

    /// Bytes of the medium.
    pub fn size(&self) -> u64 {
        self.recipe.total_bytes()
    }

    /// Reads `range` (bytes) of the medium into memory; the caller bounds it. A range beyond the
    /// end is an error.
    pub async fn read_range(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        if range.end > self.size() || range.start > range.end {
            return Err(StoreError::Short {
                place: format!("the medium of {}", self.glue),
                offset: range.start,
                wanted: range.end.saturating_sub(range.start),
                got: self.size().saturating_sub(range.start),
            });
        }
        let segments = self.recipe.segments();
        let first = segments.partition_point(|s| s.dst_offset + s.len <= range.start);
        let mut pieces = Vec::new();
        let mut at = range.start;
        for segment in &segments[first..] {
            if at >= range.end {
                break;
            }
            let end = range.end.min(segment.dst_offset + segment.len);
            let source = segment.source.skip(at - segment.dst_offset);
            pieces.push(self.read(source, end - at).await?);
            at = end;
        }
        Ok(joined(pieces))
    }

    async fn read(&self, source: SegmentSource, bytes: u64) -> Result<Bytes, StoreError> {
        match source {
            SegmentSource::Pack { key, offset } => {
                let range = offset..offset + bytes;
                self.objects.get_range(&key.pack(), range).await
            }
            SegmentSource::Glue { offset } => {
                self.objects.get_range(&self.glue, offset..offset + bytes).await
            }
        }
    }
}

/// One piece is handed on as it is.
fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1 {
        return pieces.remove(0);
    }
    let mut whole = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    for piece in pieces {
        whole.extend_from_slice(&piece);
    }
    whole.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{BuildId, PackKey};
    use crate::location::ObjectUrl;
    use crate::objects::PutRule;
    use crate::recipe::Segment;

    #[tokio::test]
    async fn every_range_of_the_medium_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let url = ObjectUrl::Local(folder.path().to_path_buf());
        let objects = Objects::open(&url).await.unwrap();
        let (glue, key) = (BuildId::new("b").unwrap().glue(1), PackKey::of(b"p"));
        for (object, body) in [(glue.clone(), "HEADtail"), (key.pack(), "xx0123456789")] {
            let body = Bytes::from_static(body.as_bytes());
            let _ = objects.put_small(&object, body, PutRule::Overwrite).await.unwrap();
        }
        let segment = |dst_offset, len, source| Segment { dst_offset, len, source };
        let segments = vec![
            segment(0, 4, SegmentSource::Glue { offset: 0 }),
            segment(4, 10, SegmentSource::Pack { key, offset: 2 }),
            segment(14, 4, SegmentSource::Glue { offset: 4 }),
        ];
        let recipe = Recipe::new(18, segments).unwrap();
        let view = ComposedView::new(&objects, glue, Arc::new(recipe));
        let whole = b"HEAD0123456789tail";
        for start in 0..=18 {
            for end in start..=18 {
                let read = view.read_range(start..end).await.unwrap();
                assert_eq!(read, whole[start as usize..end as usize]);
            }
        }
        assert!(view.read_range(17..19).await.is_err());
    }
}
