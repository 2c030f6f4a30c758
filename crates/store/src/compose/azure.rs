//! Composes a blob in Azure: blocks that Azure copies itself by Put Block From URL where it holds
//! the source, and that go through memory otherwise; Put Block List makes the blob of them.
//!
//! Blocks can't be given up: those that no list names are dropped by Azure a week after the last
//! one was written, or with the next list. So it is our marker that says whether a composition is
//! open.

use std::collections::HashMap;

use async_trait::async_trait;

use super::PartRules;
use super::azure_blocks::{BlobAccess, Block, Blocks};
use super::cloud::{AT_ONCE, InPlace, Output, PartStore};
use super::error::ComposeError;
use super::http::Http;
use super::memory::{MAX_THROUGH_MEMORY, read_part};
use super::receipt::{MarkedPart, PartMark, PlacedPart};
use crate::objects::StoreKind;

/// Azure takes blocks of any size up to 4000 MiB and 50 000 of them. Each may have to go through
/// memory, for a server may say only when asked that it doesn't copy.
pub(super) const PART_RULES: PartRules =
    PartRules { min_bytes: 1, max_bytes: MAX_THROUGH_MEMORY, max_parts: 50_000, at_once: AT_ONCE };

#[derive(Default)]
pub(super) struct AzureParts {
    http: Http,
}

impl AzureParts {
    fn blocks<'a>(&'a self, output: &'a Output) -> Result<Blocks<'a>, ComposeError> {
        match output.kind() {
            StoreKind::Azure { client, container, account, lent } => {
                let access = BlobAccess { client, container, account, lent: lent.as_ref() };
                Ok(Blocks { http: &self.http, access, output })
            }
            _ => Err(output.strange()),
        }
    }
}

/// The block's id: 32 characters, as many as those of the client library, because all blocks of a
/// blob must have ids of one length.
fn block_id(number: u32, mark: &PartMark, output: &Output) -> String {
    format!("{number:08x}{}{}", &output.upload.id[..8], mark.as_str())
}

#[async_trait]
impl PartStore for AzureParts {
    async fn open(&self, _: &Output) -> Result<Option<String>, ComposeError> {
        Ok(None)
    }

    async fn place(&self, output: &Output, part: &MarkedPart<'_>) -> Result<InPlace, ComposeError> {
        output.check_open().await?;
        let (blocks, MarkedPart { part, mark }) = (self.blocks(output)?, part);
        let block = Block { id: block_id(part.number, mark, output), part };
        if blocks.copy(&block).await? {
            return Ok(InPlace::Copied(block.id));
        }
        blocks.put(&block, read_part(&output.url(), part).await?).await?;
        Ok(InPlace::Sent(block.id))
    }

    async fn placed(
        &self,
        output: &Output,
        parts: &[MarkedPart<'_>],
    ) -> Result<Vec<Option<String>>, ComposeError> {
        output.check_open().await?;
        let there = self.blocks(output)?.uncommitted().await?;
        let tag = |MarkedPart { part, mark }: &MarkedPart<'_>| {
            let id = block_id(part.number, mark, output);
            (there.get(&id) == Some(&part.len)).then_some(id)
        };
        Ok(parts.iter().map(tag).collect())
    }

    async fn commit(&self, output: &Output, parts: &[PlacedPart<'_>]) -> Result<(), ComposeError> {
        output.check_open().await?;
        let blocks = self.blocks(output)?;
        let there: HashMap<String, u64> = blocks.uncommitted().await?;
        let mut ids = Vec::with_capacity(parts.len());
        for PlacedPart { part, mark, .. } in parts {
            let id = block_id(part.number, mark, output);
            if there.get(&id) != Some(&part.len) {
                return Err(output.unplaced(part));
            }
            ids.push(id);
        }
        blocks.list(&ids).await
    }

    /// Without their marker the blocks are nothing; Azure drops them by itself.
    async fn discard(&self, _: &Output) -> Result<(), ComposeError> {
        Ok(())
    }
}
