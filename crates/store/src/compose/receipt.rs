//! What tells a part of one composition from every other, and receipts made of it.

use sha2::{Digest, Sha256};

use super::{Part, Receipt, UploadToken};

/// A digest of composition, place and source of a part. It names what the part's bytes are kept
/// under, where a store lets us choose that, and makes a receipt valid for its part alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PartMark(String);

/// A part with its mark.
pub(super) struct MarkedPart<'a> {
    pub part: &'a Part,
    pub mark: PartMark,
}

/// A part that is in place, and what its store calls it.
pub(super) struct PlacedPart<'a> {
    pub part: &'a Part,
    pub mark: PartMark,
    pub tag: &'a str,
}

impl PartMark {
    /// The store's address is left out: workers may see one folder under different paths. So is the tag
    /// that the source must have: where a pack was written again with the same bytes, it is another.
    pub fn of(token: &UploadToken, part: &Part) -> Self {
        let Part { number, dst_offset, len, source } = part;
        let (key, offset) = (&source.key, source.offset);
        let token = token.as_str();
        let text = format!("{token}\n{number} {dst_offset} {len}\n{key}\n{offset}\n");
        Self(hex::encode(&Sha256::digest(text)[..8]))
    }

    /// 16 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The receipt of the part, which its store calls `tag`.
    pub fn receipt(&self, tag: &str) -> Receipt {
        Receipt(format!("{}:{tag}", self.0))
    }

    /// What the store calls the part, if the receipt is of this part.
    pub fn tag<'a>(&self, receipt: &'a Receipt) -> Option<&'a str> {
        let tag = receipt.as_str().strip_prefix(&self.0)?.strip_prefix(':')?;
        Some(tag).filter(|tag| !tag.is_empty())
    }
}

impl<'a> MarkedPart<'a> {
    pub fn new(token: &UploadToken, part: &'a Part) -> Self {
        Self { part, mark: PartMark::of(token, part) }
    }
}
