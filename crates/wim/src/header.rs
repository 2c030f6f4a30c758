//! The 208-byte header and the 24-byte resource headers (wimlib 1.14.4 `header.h`, `resource.h`).

use std::ops::RangeInclusive;

use crate::{
    bytes::{Le, put},
    codec::{CHUNK_BYTES, Format},
    error::{Result, WimError},
};

/// Bytes of the header, and the offset of the first resource.
pub const HEADER_BYTES: u64 = 208;
const MAGIC: &[u8; 8] = b"MSWIM\0\0\0";
const VERSION: u32 = 0x10d00;
const VERSION_SOLID: u32 = 0xe00;

const FLAG_COMPRESSED: u32 = 0x2;
const FLAG_SPANNED: u32 = 0x8;
const FLAG_WRITE_IN_PROGRESS: u32 = 0x40;
const FLAG_RPFIX: u32 = 0x80;
const FLAG_XPRESS: u32 = 0x2_0000;
const FLAG_LZX: u32 = 0x4_0000;
const FLAG_LZMS: u32 = 0x8_0000;

const RESOURCE_METADATA: u8 = 2;
const RESOURCE_COMPRESSED: u8 = 4;
const RESOURCE_SOLID: u8 = 0x10;

/// Where a resource lies and how it is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceHeader {
    /// Offset in the file.
    pub offset: u64,
    /// Bytes in the file (at most 2^56 - 1).
    pub stored_bytes: u64,
    /// Bytes of content.
    pub original_bytes: u64,
    /// Whether it is a metadata resource.
    pub metadata: bool,
    /// Whether it is a chunk table and chunks, or the plain content.
    pub compressed: bool,
    /// Whether it is (part of) a solid resource.
    pub solid: bool,
}

impl ResourceHeader {
    /// Bytes of a resource header.
    pub const BYTES: usize = 24;

    /// Reads one from the first 24 bytes of `bytes`.
    pub fn parse(bytes: &[u8]) -> Self {
        let word = bytes.u64_at(0);
        let flags = (word >> 56) as u8;
        Self {
            offset: bytes.u64_at(8),
            stored_bytes: word & 0x00ff_ffff_ffff_ffff,
            original_bytes: bytes.u64_at(16),
            metadata: flags & RESOURCE_METADATA != 0,
            compressed: flags & RESOURCE_COMPRESSED != 0,
            solid: flags & RESOURCE_SOLID != 0,
        }
    }

    /// The 24 bytes of it.
    pub fn write(&self) -> [u8; Self::BYTES] {
        let mut flags = 0;
        for (set, flag) in [
            (self.metadata, RESOURCE_METADATA),
            (self.compressed, RESOURCE_COMPRESSED),
            (self.solid, RESOURCE_SOLID),
        ] {
            if set {
                flags |= flag;
            }
        }
        let mut out = [0; Self::BYTES];
        put(&mut out, 0, &(self.stored_bytes | u64::from(flags) << 56).to_le_bytes());
        put(&mut out, 8, &self.offset.to_le_bytes());
        put(&mut out, 16, &self.original_bytes.to_le_bytes());
        out
    }

    /// The byte after it in the file, or an error if that can't be.
    pub fn end(&self) -> Result<u64> {
        self.offset
            .checked_add(self.stored_bytes)
            .ok_or_else(|| WimError::malformed("resource header", self.offset, "its end overflows"))
    }
}

/// The header of a WIM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The format of its compressed resources; `None` when the WIM has none.
    pub format: Option<Format>,
    /// Bytes of content in one chunk; 0 when nothing is compressed.
    pub chunk_bytes: u32,
    /// The WIM's GUID: the parts of a split WIM share it.
    pub guid: [u8; 16],
    /// Which part of a split WIM this file is, from 1; 1 of a whole WIM.
    pub part: u16,
    /// How many parts there are; 1 of a whole WIM.
    pub parts: u16,
    /// Number of images.
    pub image_count: u32,
    /// The bootable image, 0 for none.
    pub boot_index: u32,
    /// Whether absolute symlinks and junctions are relative to the image's root.
    pub rpfix: bool,
    /// The blob table.
    pub blob_table: ResourceHeader,
    /// The XML data.
    pub xml: ResourceHeader,
    /// The bootable image's metadata resource, all zero for none.
    pub boot_metadata: ResourceHeader,
    /// The integrity table, all zero for none.
    pub integrity: ResourceHeader,
}

impl Header {
    /// Reads the first 208 bytes of a WIM.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() < HEADER_BYTES as usize || &bytes[..8] != MAGIC {
            if bytes.starts_with(b"WLPWM\0\0\0") {
                return Err(WimError::NotSupported {
                    what: "a pipable WIM".into(),
                    advice: "rewrite it with 'wimlib-imagex export --not-pipable'",
                });
            }
            let problem = "the file does not begin as a WIM does ('MSWIM')";
            return Err(WimError::malformed("header", 0, problem));
        }
        let flags = bytes.u32_at(0x10);
        refuse_other_kinds(bytes, flags)?;
        let (format, chunk_bytes) = compression(bytes, flags)?;
        Ok(Self {
            format,
            chunk_bytes,
            guid: bytes.array_at(0x18),
            part: bytes.u16_at(0x28),
            parts: bytes.u16_at(0x2a),
            image_count: bytes.u32_at(0x2c),
            boot_index: bytes.u32_at(0x78),
            rpfix: flags & FLAG_RPFIX != 0,
            blob_table: ResourceHeader::parse(&bytes[0x30..]),
            xml: ResourceHeader::parse(&bytes[0x48..]),
            boot_metadata: ResourceHeader::parse(&bytes[0x60..]),
            integrity: ResourceHeader::parse(&bytes[0x7c..]),
        })
    }

    /// The 208 bytes of it.
    pub fn write(&self) -> [u8; HEADER_BYTES as usize] {
        let mut flags = if self.rpfix { FLAG_RPFIX } else { 0 };
        if self.parts > 1 {
            flags |= FLAG_SPANNED;
        }
        let mut version = VERSION;
        match self.format {
            Some(Format::Lzx) => flags |= FLAG_COMPRESSED | FLAG_LZX,
            Some(Format::Xpress) => flags |= FLAG_COMPRESSED | FLAG_XPRESS,
            Some(Format::Lzms) => {
                flags |= FLAG_COMPRESSED | FLAG_LZMS;
                version = VERSION_SOLID;
            }
            None => {}
        }
        let mut out = [0; HEADER_BYTES as usize];
        put(&mut out, 0, MAGIC);
        put(&mut out, 0x08, &(HEADER_BYTES as u32).to_le_bytes());
        put(&mut out, 0x0c, &version.to_le_bytes());
        put(&mut out, 0x10, &flags.to_le_bytes());
        put(&mut out, 0x14, &self.chunk_bytes.to_le_bytes());
        put(&mut out, 0x18, &self.guid);
        put(&mut out, 0x28, &self.part.to_le_bytes());
        put(&mut out, 0x2a, &self.parts.to_le_bytes());
        put(&mut out, 0x2c, &self.image_count.to_le_bytes());
        put(&mut out, 0x30, &self.blob_table.write());
        put(&mut out, 0x48, &self.xml.write());
        put(&mut out, 0x60, &self.boot_metadata.write());
        put(&mut out, 0x78, &self.boot_index.to_le_bytes());
        put(&mut out, 0x7c, &self.integrity.write());
        out
    }
}

/// The chunk sizes that a format can have in a WIM, as powers of two (wimlib 1.14.4 `wimlib.h`).
pub(crate) fn chunk_orders(format: Format) -> RangeInclusive<u32> {
    match format {
        Format::Xpress => 12..=16,
        Format::Lzx => 15..=21,
        Format::Lzms => 15..=30,
    }
}

/// Whether chunks of `format` can have so many bytes.
pub(crate) fn is_chunk_size(format: Format, chunk_bytes: u32) -> bool {
    chunk_bytes.is_power_of_two() && chunk_orders(format).contains(&chunk_bytes.trailing_zeros())
}

fn compression(bytes: &[u8], flags: u32) -> Result<(Option<Format>, u32)> {
    let formats =
        [(FLAG_XPRESS, Format::Xpress), (FLAG_LZX, Format::Lzx), (FLAG_LZMS, Format::Lzms)];
    let format = formats.into_iter().find(|(flag, _)| flags & flag != 0).map(|(_, format)| format);
    let chunk_bytes = bytes.u32_at(0x14);
    let Some(known) = format else {
        return Ok((None, chunk_bytes));
    };
    let chunk_bytes = if chunk_bytes == 0 { CHUNK_BYTES } else { chunk_bytes };
    if !is_chunk_size(known, chunk_bytes) {
        let problem = format!("{known} has no chunks of {chunk_bytes} bytes in a WIM");
        return Err(WimError::malformed("header", 0x14, problem));
    }
    Ok((format, chunk_bytes))
}

fn refuse_other_kinds(bytes: &[u8], flags: u32) -> Result<()> {
    let version = bytes.u32_at(0x0c);
    if version != VERSION && version != VERSION_SOLID {
        let problem = format!("version {version:#x} is not that of a WIM ({VERSION:#x})");
        return Err(WimError::malformed("header", 0x0c, problem));
    }
    let (part, parts) = (bytes.u16_at(0x28), bytes.u16_at(0x2a));
    if part == 0 || part > parts {
        let problem = format!("there is no part {part} of {parts}");
        return Err(WimError::malformed("header", 0x28, problem));
    }
    if flags & FLAG_WRITE_IN_PROGRESS != 0 {
        let problem = "it is marked as being written: whoever wrote it did not finish";
        return Err(WimError::malformed("header", 0x10, problem));
    }
    Ok(())
}
