//! Doing an encode task over again, to see whether the pack that is there is what comes of it.
//!
//! The pack that another worker published is compared with the one that is made here: its index first,
//! then every chunk of its bytes by BLAKE3. Nothing is published.

use prestage_proto::v1;
use prestage_store::{CHUNK, PackReader, pack::PackIndex};

use super::{Tools, encode, error::TaskError, off_thread, parse_key, seen::message};

/// What comparing a pack came to.
pub struct Compared {
    /// Bytes of the pack that was made here.
    pub pack_bytes: u64,
    /// Bytes of content that were read for it.
    pub content_bytes: u64,
    /// What is different; empty if nothing is.
    pub difference: String,
    /// The pack that was compared, if it could be read.
    pub seen: Option<v1::SeenPack>,
}

/// A second opinion. A difference is a result, not a failure: somebody else decides what it means.
pub async fn verify(task: v1::VerifyTask, tools: &Tools) -> Result<v1::VerifyResult, TaskError> {
    let encode = task.encode.ok_or_else(|| TaskError::BadTask("it names no encode task".into()))?;
    let pack_key = encode.pack_key.clone();
    let compared = compare(encode, tools).await?;
    let Some(Compared { difference, seen, .. }) = compared else {
        let what = "the pack that is to be compared is gone".to_owned();
        return Err(TaskError::Damaged { what, place: parse_key(&pack_key)?.pack().to_string() });
    };
    Ok(v1::VerifyResult { pack_key, difference, seen })
}

/// Makes the pack anew and compares it with the one that is there; nothing if none is.
pub async fn compare(encode: v1::EncodeTask, tools: &Tools) -> Result<Option<Compared>, TaskError> {
    let (name, pack_key) = (encode.pack_key.clone(), parse_key(&encode.pack_key)?);
    let made = off_thread(tools, move |tools| encode::encode(&encode, tools)).await?;
    let ours = PackIndex::new(&name, made.contents)?;
    let (pack_bytes, content_bytes) = (made.pack.bytes(), made.bytes_read);
    let compared = |difference, seen| Compared { pack_bytes, content_bytes, difference, seen };
    // The file itself is not needed for comparing: its chunks' digests are.
    drop(made.pack);
    let theirs = match tools.objects.open_pack(&pack_key).await {
        Ok(Some(theirs)) => theirs,
        Ok(None) => return Ok(None),
        Err(error) if error.is_damage() => return Ok(Some(compared(error.to_string(), None))),
        Err(error) => return Err(error.into()),
    };
    let difference = difference(&theirs, &ours).await?.unwrap_or_default();
    Ok(Some(compared(difference, Some(message(&theirs)))))
}

/// What is different about the pack that is there; `None` if nothing is.
async fn difference(theirs: &PackReader, ours: &PackIndex) -> Result<Option<String>, TaskError> {
    let index = theirs.index();
    if index.pack_bytes() != ours.pack_bytes() {
        let (there, here) = (index.pack_bytes(), ours.pack_bytes());
        return Ok(Some(format!("it has {there} bytes instead of {here}")));
    }
    if index.resources() != ours.resources() {
        return Ok(Some("its index names other resources".into()));
    }
    if index.chunk_digests() != ours.chunk_digests() {
        return Ok(Some("its index names other bytes".into()));
    }
    let chunks = 0..ours.pack_bytes().div_ceil(CHUNK);
    match theirs.verify_chunks(chunks).await {
        Ok(()) => Ok(None),
        Err(error) if error.is_damage() => Ok(Some(error.to_string())),
        Err(error) => Err(error.into()),
    }
}
