//! Which pack gives each content of the medium, and that one SHA-1 never stands for two contents.

use std::{
    collections::{HashMap, hash_map::Entry},
    ops::Range,
};

use async_trait::async_trait;
use bytes::Bytes;
use prestage_store::pack::{PackReader, ResourceEntry};
use prestage_wim::{
    DoubleHasher, RangeRead, ResourceHeader, Sha1Hash, WimError, codec::Codec,
    resource::ResourceReader,
};
use rayon::prelude::*;

use super::{Tools, error::TaskError};

/// Where a content of the medium comes from.
#[derive(Clone, Copy)]
pub struct Owner {
    /// Which pack.
    pub pack: usize,
    /// The resource in it.
    pub resource: ResourceEntry,
}

/// A content that several packs have, one of them without saying its SHA-256.
struct Shared {
    owner: Owner,
    sha256: [u8; 32],
    other_pack: usize,
}

/// Which pack gives each content that the tree names: the first that has it.
///
/// SHA-1 is only WIM's name for a content; what it is, SHA-256 says. Resources that were spliced
/// from an OS image say none, so those few that a content shares are looked at.
pub fn owners(
    packs: &[PackReader],
    references: &HashMap<Sha1Hash, u32>,
    codec: Codec,
    tools: &Tools,
) -> Result<HashMap<Sha1Hash, Owner>, TaskError> {
    let mut owners: HashMap<Sha1Hash, Owner> = HashMap::new();
    let mut shared = Vec::new();
    for (pack, reader) in packs.iter().enumerate() {
        for resource in reader.index().resources() {
            let sha1 = Sha1Hash(resource.sha1);
            if !references.contains_key(&sha1) {
                continue;
            }
            match owners.entry(sha1) {
                Entry::Vacant(place) => {
                    place.insert(Owner { pack, resource: *resource });
                }
                Entry::Occupied(mut known) => {
                    let known = known.get_mut();
                    refuse_other(known, resource, pack, packs)?;
                    if let (None, Some(sha256)) = (known.resource.sha256, resource.sha256) {
                        shared.push(Shared { owner: *known, sha256, other_pack: pack });
                        known.resource.sha256 = Some(sha256);
                    }
                }
            }
        }
    }
    tools.pool.install(|| {
        shared.par_iter().try_for_each(|shared| look_at_shared(shared, packs, codec, tools))
    })?;
    Ok(owners)
}

/// Refuses a second content of one SHA-1, as far as the indexes tell.
fn refuse_other(
    known: &Owner,
    other: &ResourceEntry,
    other_pack: usize,
    packs: &[PackReader],
) -> Result<(), TaskError> {
    let sizes_differ = known.resource.original_bytes != other.original_bytes;
    let hashes = (known.resource.sha256, other.sha256);
    if sizes_differ || matches!(hashes, (Some(a), Some(b)) if a != b) {
        return Err(collision(known, other_pack, packs));
    }
    Ok(())
}

fn collision(known: &Owner, other_pack: usize, packs: &[PackReader]) -> TaskError {
    let content = |pack: usize| packs[pack].index().facts().content_id.as_str();
    let place = match (content(known.pack), content(other_pack)) {
        (one, other) if one == other => one.to_owned(),
        (one, other) => format!("{one} and {other}"),
    };
    let error = WimError::Sha1Collision { sha1: Sha1Hash(known.resource.sha1) };
    TaskError::Wim { place, error }
}

/// Reads the resource that says no SHA-256, and compares.
fn look_at_shared(
    shared: &Shared,
    packs: &[PackReader],
    codec: Codec,
    tools: &Tools,
) -> Result<(), TaskError> {
    if tools.is_cancelled() {
        return Err(TaskError::Cancelled);
    }
    let owner = &shared.owner;
    let pack = &packs[owner.pack];
    let (sha1, sha256) = hash(pack, &owner.resource, codec, tools).map_err(|error| {
        TaskError::Wim { place: pack.index().facts().content_id.clone(), error }
    })?;
    if sha1 != Sha1Hash(owner.resource.sha1) {
        return Err(TaskError::Wim {
            place: pack.index().facts().content_id.clone(),
            error: WimError::WrongHash {
                offset: owner.resource.offset,
                expected: Sha1Hash(owner.resource.sha1),
                actual: sha1,
            },
        });
    }
    if sha256 == shared.sha256 {
        return Ok(());
    }
    Err(collision(owner, shared.other_pack, packs))
}

/// Both hashes of a resource's content.
fn hash(
    pack: &PackReader,
    entry: &ResourceEntry,
    codec: Codec,
    tools: &Tools,
) -> prestage_wim::Result<(Sha1Hash, [u8; 32])> {
    let resource = ResourceHeader {
        offset: entry.offset,
        stored_bytes: entry.stored_bytes,
        original_bytes: entry.original_bytes,
        compressed: entry.compressed,
        ..ResourceHeader::default()
    };
    let source = PackSource(pack);
    tools.runtime.block_on(async {
        let format = Some(codec.format);
        let mut reader = ResourceReader::open(&source, resource, format, codec.chunk_bytes).await?;
        let mut hasher = DoubleHasher::default();
        while let Some(piece) = reader.next().await? {
            hasher.update(&piece);
        }
        Ok(hasher.finish())
    })
}

/// A pack, as the resource reader wants it.
struct PackSource<'a>(&'a PackReader);

#[async_trait]
impl RangeRead for PackSource<'_> {
    fn size(&self) -> u64 {
        self.0.index().pack_bytes()
    }

    async fn read(&self, range: Range<u64>) -> prestage_wim::Result<Bytes> {
        let read = self.0.get_range(range).await;
        read.map_err(|error| WimError::Io(std::io::Error::other(error)))
    }
}
