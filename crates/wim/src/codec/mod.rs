//! How file content becomes WIM resources: format, chunk size, effort.

mod encode;
mod file;
mod join;
mod packing;
mod resource_writer;
mod run;
mod shrink;
mod sink;
mod table;
mod wimlib;
mod window;

pub use encode::Encoder;
pub use file::{EncodedFile, FileToEncode, Progress};
pub use join::{JoinedFile, RunToJoin, join};
pub use run::EncodedRun;
pub use shrink::cannot_shrink;
pub use sink::{MemorySink, Reservation, ResourceSink};
pub use wimlib::{Compressor, Decompressor};
pub use window::{WINDOW_BYTES, WINDOW_MEMORY, WINDOWS};

/// The compression formats of a WIM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// LZX, the default of DISM and of the wizard.
    Lzx,
    /// XPRESS (Huffman), faster and larger.
    Xpress,
    /// LZMS, of ESD files: smallest, slow to make. Media never have it: they could be neither
    /// mounted nor serviced.
    Lzms,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Lzx => "LZX",
            Self::Xpress => "XPRESS",
            Self::Lzms => "LZMS",
        })
    }
}

/// The chunk size of every WIM that Microsoft's tools read, in bytes.
pub const CHUNK_BYTES: u32 = 32 * 1024;

/// A format with the effort spent on it. All resources of a WIM share format and chunk size; the
/// level may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Codec {
    /// The compression format.
    pub format: Format,
    /// Bytes of content in one chunk.
    pub chunk_bytes: u32,
    /// Effort on wimlib's scale: 20 is fast, 50 is what `wimlib-imagex capture` does.
    pub level: u32,
}

/// What a user chooses between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Profile {
    /// Soonest: for media that is applied once and thrown away.
    Fast,
    /// About 4 % larger than the thorough one for an eighth of its time.
    #[default]
    Balanced,
    /// Smallest that Microsoft's tools read.
    Thorough,
}

impl Profile {
    /// The codec of this profile for a medium whose OS image uses `format`: a WIM has one format,
    /// and the OS image's resources are taken over as they are, so they decide it.
    pub fn codec(self, format: Format, chunk_bytes: u32) -> Codec {
        let level = match (self, format) {
            // wimlib's own default, whatever the profile: no medium is made with it.
            (_, Format::Lzms) => 50,
            (Self::Fast, Format::Lzx) => 1,
            (Self::Fast, Format::Xpress) => 5,
            (Self::Balanced, Format::Lzx) => 8,
            (Self::Balanced, Format::Xpress) => 30,
            (Self::Thorough, Format::Lzx) => 45,
            (Self::Thorough, Format::Xpress) => 80,
        };
        Codec { format, chunk_bytes, level }
    }
}

impl std::str::FromStr for Profile {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s {
            "fast" => Ok(Self::Fast),
            "balanced" => Ok(Self::Balanced),
            "thorough" => Ok(Self::Thorough),
            other => Err(format!(
                "codec profile '{other}' does not exist: use fast, balanced or thorough"
            )),
        }
    }
}
