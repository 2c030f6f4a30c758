//! Whether what was read is what was written. Objects that others build upon tell it by themselves, and what
//! doesn't fit is read again: a bit that flips between the store and us must cost a request, not a build.

use bytes::Bytes;

use crate::error::StoreError;
use crate::keys::ObjectKey;
use crate::objects::Objects;

/// What does not fit so often is damaged in the store.
pub(crate) const READS: u32 = 3;

/// The tag of field 15 of a protobuf message, of 32 bytes. Programs that don't know of it pass over it, so
/// they can read what we write.
const FIELD: [u8; 2] = [15 << 3 | 2, 32];
const DIGEST: usize = 32;
/// What stands before the digest of a text of keys, in hex: programs that don't know of it take the line for
/// a key of nothing.
const LINE: &[u8; 9] = b"\nchecked/";

/// An object is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its digest is another")]
pub struct NotWhole;

/// A protobuf message that ends in the digest of what is before, as field 15.
pub fn with_digest(mut message: Vec<u8>) -> Bytes {
    let digest = blake3::hash(&message);
    message.extend_from_slice(&FIELD);
    message.extend_from_slice(digest.as_bytes());
    message.into()
}

/// Whether a message of [`with_digest`] is whole. The release before wrote no digest, which is taken.
///
/// # Errors
/// When it is not.
pub fn check_digest(object: &[u8]) -> Result<(), NotWhole> {
    checked(object, &FIELD, |digest| *digest).map(drop)
}

/// A text of keys that ends in a line with its digest.
pub(crate) fn with_digest_line(mut text: String) -> Bytes {
    let digest = blake3::hash(text.as_bytes());
    text.extend(LINE.iter().map(|&byte| char::from(byte)));
    text.push_str(&digest.to_hex());
    text.into()
}

/// The text of [`with_digest_line`], or of the release before.
pub(crate) fn check_digest_line(object: &[u8]) -> Result<&[u8], NotWhole> {
    checked(object, LINE, |digest| {
        let mut hex = [0; 2 * DIGEST];
        hex.copy_from_slice(blake3::Hash::from(*digest).to_hex().as_bytes());
        hex
    })
}

/// What stands before `mark` and the digest. If only one of them is not there, it is damaged; if neither is,
/// nobody put them there.
fn checked<'a, const MARK: usize, const LENGTH: usize>(
    object: &'a [u8],
    mark: &[u8; MARK],
    written: impl Fn(&[u8; DIGEST]) -> [u8; LENGTH],
) -> Result<&'a [u8], NotWhole> {
    let Some((rest, digest)) = object.split_last_chunk::<LENGTH>() else {
        return Ok(object);
    };
    let Some((message, marked)) = rest.split_last_chunk::<MARK>() else {
        return Ok(object);
    };
    match (written(blake3::hash(message).as_bytes()) == *digest, marked == mark) {
        (true, true) => Ok(message),
        (false, false) => Ok(object),
        _ => Err(NotWhole),
    }
}

impl Objects {
    /// Reads an object that tells by itself whether it is whole: `open` refuses what isn't. What it refuses
    /// is read again; the inner error is what it said of the last try.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn get_whole<T, E: std::fmt::Display>(
        &self,
        key: &ObjectKey,
        limit: u64,
        open: impl Fn(Bytes) -> Result<T, E>,
    ) -> Result<Result<T, E>, StoreError> {
        let mut reads = 1;
        loop {
            match open(self.get(key, limit).await?) {
                Err(problem) if reads < READS => {
                    tracing::warn!(object = %key, %problem, "is not whole, and read again");
                    reads += 1;
                }
                opened => return Ok(opened),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use prost::Message;

    use super::*;
    use crate::location::ObjectUrl;
    use crate::objects::PutRule;

    #[derive(Clone, PartialEq, Message)]
    struct Sample {
        #[prost(string, tag = "1")]
        text: String,
    }

    #[test]
    fn every_flipped_bit_is_found_and_others_read_the_message() {
        let sample = Sample { text: "what was written".into() };
        let object = with_digest(sample.encode_to_vec());
        assert_eq!(check_digest(&object), Ok(()));
        assert_eq!(Sample::decode(&object[..]).unwrap(), sample);
        for bit in 0..object.len() * 8 {
            let mut flipped = object.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(check_digest(&flipped), Err(NotWhole), "bit {bit}");
        }
    }

    #[test]
    fn every_flipped_bit_of_a_text_is_found() {
        for text in ["", "packs/one", "packs/one\npacks/two"] {
            let object = with_digest_line(text.into());
            assert_eq!(check_digest_line(&object), Ok(text.as_bytes()));
            assert_eq!(check_digest_line(text.as_bytes()), Ok(text.as_bytes()));
            for bit in 0..object.len() * 8 {
                let mut flipped = object.to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(check_digest_line(&flipped), Err(NotWhole), "bit {bit}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_not_whole_is_read_again_before_it_is_believed() {
        let folder = tempfile::tempdir().unwrap();
        let url = ObjectUrl::Local(folder.path().to_path_buf());
        let objects = Objects::open(&url).await.unwrap();
        let key = ObjectKey::new("one").unwrap();
        let _ = objects.put_small(&key, "one".into(), PutRule::Overwrite).await.unwrap();
        for (damaged, read) in [(0, Ok("one")), (2, Ok("one")), (3, Err(NotWhole))] {
            let reads = AtomicU32::new(0);
            let open = |body: Bytes| match reads.fetch_add(1, Ordering::Relaxed) < damaged {
                true => Err(NotWhole),
                false => Ok(body),
            };
            let opened = objects.get_whole(&key, 3, open).await.unwrap();
            assert_eq!(opened, read.map(Bytes::from), "{damaged} damaged answers");
            assert_eq!(reads.into_inner(), READS.min(damaged + 1));
        }
    }

    #[test]
    fn a_message_of_the_release_before_is_taken() {
        for text in ["", "short", "longer than a digest and its field together"] {
            let object = Sample { text: text.into() }.encode_to_vec();
            assert_eq!(check_digest(&object), Ok(()));
        }
    }
}
