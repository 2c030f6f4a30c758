//! Listings of contents, kept in the object store by their digest, so that a plan can name them.

use std::io::Read;

use bytes::Bytes;
use prestage_configmgr::{
    content_library::{ContentListing, LibraryOnShare},
    distribution_point::ContentPlace,
};
use prestage_proto::v1;
use prestage_shares::Shares;
use prestage_store::{ObjectKey, Objects, PutRule, StoreError};

use super::PlannedContent;

/// A listing of a million long paths is below this.
const LISTING_BYTES_MAX: u64 = 1 << 30;
/// More bytes of a listing for one stored byte are not believed: digests don't shrink, and a hundred thousand
/// empty files with names in sequence shrink to a fiftieth.
const RATIO_MAX: u64 = 256;
const ZSTD_LEVEL: i32 = 3;

/// The listings in an object store.
#[derive(Clone)]
pub struct ListingStore {
    objects: Objects,
}

/// Why a content's listing can't be had.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The object is damaged.
    #[error("the listing {digest} in the object store can't be read: {problem}; remove the object")]
    Damaged {
        /// Which.
        digest: String,
        /// What is wrong.
        problem: String,
    },
    /// The content is no longer what was planned.
    #[error(
        "content {content_id} is no longer what was planned, on none of {places}: plan the medium \
         again, or redistribute the version that was planned"
    )]
    Changed {
        /// Which content.
        content_id: String,
        /// Where it was looked for.
        places: String,
    },
}

impl ListingStore {
    /// Listings in `objects`.
    pub fn new(objects: Objects) -> Self {
        Self { objects }
    }

    /// Keeps a listing.
    pub async fn keep(&self, listing: &ContentListing) -> Result<(), ListingError> {
        let listing = listing.clone();
        let encoding = prestage_threads::off_thread(move || encode(&listing)).await;
        let (digest, body) = encoding.map_err(|error| ListingError::Damaged {
            digest: "of a content".into(),
            problem: error.to_string(),
        })??;
        let key = listing_key(&digest)?;
        self.objects.put_small(&key, body.into(), PutRule::CreateIfAbsent).await?;
        Ok(())
    }

    /// The listing that a plan pins: from the store, else from a distribution point that still has
    /// it as it was.
    pub async fn pinned(
        &self,
        content: &PlannedContent,
        shares: &Shares,
    ) -> Result<ContentListing, ListingError> {
        match self.stored(&content.listing).await {
            Err(ListingError::Store(StoreError::Missing { .. })) => {}
            found => return found,
        }
        let (content_again, shares) = (content.clone(), shares.clone());
        let again = prestage_threads::off_thread(move || list_again(&content_again, &shares));
        let listing = again.await.unwrap_or_default();
        let listing = listing.ok_or_else(|| ListingError::Changed {
            content_id: content.content_id.clone(),
            places: content.distribution_points.join(", "),
        })?;
        self.keep(&listing).await?;
        Ok(listing)
    }

    async fn stored(&self, digest: &str) -> Result<ContentListing, ListingError> {
        let open = |body: Bytes| {
            let listing = decode(&body)?;
            let is_it = hex::encode(listing.digest()) == digest;
            is_it.then_some(listing).ok_or_else(|| "its digest is another".to_owned())
        };
        let read = self.objects.get_whole(&listing_key(digest)?, LISTING_BYTES_MAX, open).await?;
        read.map_err(|problem| ListingError::Damaged { digest: digest.into(), problem })
    }
}

/// A listing's digest, and its object.
fn encode(listing: &ContentListing) -> Result<(String, Vec<u8>), ListingError> {
    let digest = hex::encode(listing.digest());
    let damaged = |problem: String| ListingError::Damaged { digest: digest.clone(), problem };
    let json = serde_json::to_vec(listing).map_err(|error| damaged(error.to_string()))?;
    let body = zstd::encode_all(&json[..], ZSTD_LEVEL).map_err(|e| damaged(e.to_string()))?;
    Ok((digest, body))
}

fn decode(body: &[u8]) -> Result<ContentListing, String> {
    let most = LISTING_BYTES_MAX.min((body.len() as u64).saturating_mul(RATIO_MAX));
    let mut json = Vec::new();
    zstd::Decoder::new(body)
        // One byte more shows that there is more than is believed.
        .and_then(|decoder| decoder.take(most + 1).read_to_end(&mut json))
        .map_err(|error| error.to_string())?;
    if json.len() as u64 > most {
        return Err(format!("it has more than {most} bytes in {} stored ones", body.len()));
    }
    serde_json::from_slice(&json).map_err(|error| error.to_string())
}

fn list_again(content: &PlannedContent, shares: &Shares) -> Option<ContentListing> {
    let mut places = content.distribution_points.iter().zip(&content.libraries);
    places.find_map(|(point, place)| {
        // Asking again over HTTP would want a runtime; a plan is made again instead.
        let ContentPlace::Library(library) = place else { return None };
        let library = LibraryOnShare::open(library, point, shares).ok()?;
        let listing = library.list(&content.content_id).ok()?;
        (hex::encode(listing.digest()) == content.listing).then_some(listing)
    })
}

/// Where the listing with this digest lies.
pub fn listing_key(digest: &str) -> Result<ObjectKey, StoreError> {
    Ok(ObjectKey::new(format!("listings/{}/{digest}", digest.get(..2).unwrap_or("00")))?)
}

/// A listed file as tasks name it.
pub fn to_wire(file: &prestage_configmgr::content_library::ListedFile) -> v1::ListedFile {
    v1::ListedFile {
        path: file.path.clone(),
        size: file.size,
        sha256: file.sha256.to_vec().into(),
        attributes: file.attributes,
        modified: file.modified,
    }
}

#[cfg(test)]
mod tests {
    use prestage_configmgr::content_library::ListedFile;

    use super::*;

    #[test]
    fn a_listing_that_shrank_beyond_belief_is_refused() {
        let zeros = zstd::encode_all(&vec![b' '; 64 << 20][..], 19).unwrap();
        assert!(zeros.len() < 16 << 10, "{} bytes", zeros.len());
        let problem = decode(&zeros).unwrap_err();
        assert!(problem.contains("stored ones"), "{problem}");
    }

    #[test]
    fn a_hundred_thousand_empty_files_are_believed() {
        let file = |number: u32| ListedFile {
            path: format!("folder/file{number:06}.txt"),
            size: 0,
            sha256: [0xe3; 32],
            attributes: 0x20,
            modified: 133_497_974_450_000_000,
        };
        let files = (0..100_000).map(file).collect();
        let listing = ContentListing::new("PS100012.3".into(), files, Vec::new(), None).unwrap();
        let (_, body) = encode(&listing).unwrap();
        assert_eq!(decode(&body).unwrap(), listing);
    }
}
