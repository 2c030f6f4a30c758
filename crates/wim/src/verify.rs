//! Checking a whole WIM: structures, every resource's SHA-1, the integrity table.

use std::{collections::HashMap, sync::Arc};

use futures::{StreamExt, TryStreamExt};
use sha1::{Digest, Sha1};

use crate::{
    blob_table::Blob,
    error::{Result, WimError},
    hash::Sha1Hash,
    header::HEADER_BYTES,
    integrity,
    set::Part,
    source::read_structure,
    wim::{Wim, check},
};

/// What was checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Images whose trees were read.
    pub images: u32,
    /// Entries of all trees.
    pub entries: u64,
    /// Resources whose content was hashed.
    pub resources: u64,
    /// Bytes of content hashed.
    pub content_bytes: u64,
    /// 10 MiB chunks of the integrity table; 0 when there is none.
    pub integrity_chunks: u64,
}

/// Checks trees, reference counts and that every content that an entry names is there.
pub async fn verify_structure(wim: &Wim) -> Result<Verified> {
    let blobs = wim.blobs_by_sha1();
    let metadata = wim.blobs.iter().filter(|blob| blob.resource.metadata).count() as u32;
    if metadata != wim.header.image_count || wim.images()?.len() as u32 != metadata {
        let problem = format!(
            "header, blob table and XML data count {}, {metadata} and {} images",
            wim.header.image_count,
            wim.images()?.len()
        );
        return Err(WimError::malformed("images", 0, problem));
    }
    let mut verified = Verified { images: metadata, ..Verified::default() };
    let mut references: HashMap<Sha1Hash, u32> = HashMap::new();
    for index in 1..=metadata {
        let tree = wim.tree(index).await?;
        verified.entries += tree.nodes().count() as u64;
        for (sha1, count) in tree.references() {
            *references.entry(sha1).or_insert(0) += count;
        }
    }
    for (sha1, &count) in &references {
        let Some(blob) = blobs.get(sha1) else {
            let problem = format!("a file's content {sha1} is in no resource");
            return Err(WimError::malformed("blob table", wim.header.blob_table.offset, problem));
        };
        if blob.references != count {
            let problem = format!("{sha1} is named {count} times, not {}", blob.references);
            return Err(WimError::malformed("blob table", wim.header.blob_table.offset, problem));
        }
    }
    Ok(verified)
}

/// Checks everything, resources on as many threads as `parallel`. `progress` is told content bytes.
pub async fn verify(
    wim: &Arc<Wim>,
    parallel: usize,
    progress: impl Fn(u64) + Send + Sync,
) -> Result<Verified> {
    let mut verified = verify_structure(wim).await?;
    let files = wim.blobs.iter().filter(|blob| !blob.resource.metadata).copied();
    let (solid, own): (Vec<Blob>, Vec<Blob>) = files.partition(|blob| blob.solid.is_some());
    let own = own.into_iter().map(|blob| {
        let wim = wim.clone();
        tokio::task::spawn(async move { hash_blob(&wim, blob).await.map(|bytes| (1, bytes)) })
    });
    let solid = by_solid_resource(wim, solid).into_iter().enumerate().map(|(number, blobs)| {
        let wim = wim.clone();
        tokio::task::spawn(async move { hash_solid(&wim, number, blobs).await })
    });
    let totals = futures::stream::iter(own.chain(solid))
        .map(|task| async move { task.await.map_err(std::io::Error::other)? })
        .buffer_unordered(parallel.max(1))
        .inspect_ok(|(_, bytes)| progress(*bytes))
        .try_fold((0u64, 0u64), |(count, sum), (blobs, bytes): (u64, u64)| async move {
            Ok((count + blobs, sum + bytes))
        });
    (verified.resources, verified.content_bytes) = totals.await?;
    for part in wim.parts() {
        verified.integrity_chunks += verify_integrity(part, parallel).await?;
    }
    Ok(verified)
}

/// Contents by the solid resource that they lie in: told apart once, for there may be as many of the one as of
/// the other.
fn by_solid_resource(wim: &Wim, blobs: Vec<Blob>) -> Vec<Vec<Blob>> {
    let mut by_resource = vec![Vec::new(); wim.solid_resources().len()];
    for blob in blobs {
        if let Some(inside) = blob.solid.and_then(|number| by_resource.get_mut(number as usize)) {
            inside.push(blob);
        }
    }
    by_resource
}

async fn hash_blob(wim: &Wim, blob: Blob) -> Result<u64> {
    let mut reader = wim.read_blob(&blob).await?;
    let mut sha1 = Sha1::new();
    while let Some(piece) = reader.next().await? {
        // A few MiB at a time, then the executor has its turn again.
        sha1.update(&piece);
    }
    check(&blob, Sha1Hash(sha1.finalize().into()))?;
    Ok(blob.resource.original_bytes)
}

/// Unpacks a solid resource once, from its beginning to its end; gives how many contents it has,
/// and their bytes.
async fn hash_solid(wim: &Wim, number: usize, mut blobs: Vec<Blob>) -> Result<(u64, u64)> {
    blobs.sort_by_key(|blob| (blob.resource.offset, blob.resource.original_bytes));
    let mut reader = wim.read_solid(number)?;
    let (mut piece, mut at) = (reader.next().await?.unwrap_or_default(), 0u64);
    let mut total = 0;
    for blob in &blobs {
        let mut wanted = blob.resource.offset;
        let end = wanted + blob.resource.original_bytes;
        if wanted < at {
            let problem = format!("the content {} lies over another one", blob.sha1);
            return Err(WimError::malformed("solid resource", wanted, problem));
        }
        let mut sha1 = Sha1::new();
        while wanted < end {
            while at + piece.len() as u64 <= wanted {
                at += piece.len() as u64;
                let next = reader.next().await?;
                piece = next.ok_or_else(|| {
                    WimError::malformed("solid resource", at, "it ends before its contents do")
                })?;
            }
            let from = (wanted - at) as usize;
            let to = piece.len().min((end - at) as usize);
            sha1.update(&piece[from..to]);
            wanted = at + to as u64;
        }
        check(blob, Sha1Hash(sha1.finalize().into()))?;
        total += blob.resource.original_bytes;
    }
    Ok((blobs.len() as u64, total))
}

async fn verify_integrity(part: &Part, parallel: usize) -> Result<u64> {
    let (header, source) = (&part.header, &part.source);
    if header.integrity.stored_bytes == 0 {
        return Ok(0);
    }
    let range = header.integrity.offset..header.integrity.end()?;
    let table = read_structure(&**source, "integrity table", range).await?;
    let (chunk, hashes) = integrity::parse(&table)?;
    let end = header.blob_table.end()?;
    let expected = (end - HEADER_BYTES.min(end)).div_ceil(chunk);
    if hashes.len() as u64 != expected {
        let problem = format!("it has {} hashes, {expected} are needed", hashes.len());
        return Err(WimError::malformed("integrity table", header.integrity.offset, problem));
    }
    futures::stream::iter((0u64..).zip(hashes))
        .map(|(number, expected)| {
            let start = HEADER_BYTES + number * chunk;
            let range = start..(start + chunk).min(end);
            async move {
                let bytes = read_structure(&**source, "integrity chunk", range).await?;
                let hashing = prestage_threads::off_thread(move || Sha1Hash::of(&bytes));
                let actual = hashing.await.map_err(std::io::Error::other)?;
                if actual == expected {
                    return Ok(());
                }
                Err(WimError::WrongHash { offset: start, expected, actual })
            }
        })
        .buffer_unordered(parallel.max(1))
        .try_collect::<()>()
        .await?;
    Ok(expected)
}
