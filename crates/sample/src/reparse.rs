//! Reparse data of junctions and symbolic links, as a WIM keeps it: without the 8 byte header.

/// A link to somewhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// A junction to an absolute path (`C:\Users`).
    Junction(&'static str),
    /// A symbolic link to an absolute path.
    Absolute(&'static str),
    /// A symbolic link to a path relative to its folder.
    Relative(&'static str),
}

impl Link {
    /// `IO_REPARSE_TAG_MOUNT_POINT` or `IO_REPARSE_TAG_SYMLINK`.
    pub(crate) fn tag(&self) -> u32 {
        match self {
            Self::Junction(_) => 0xa000_0003,
            Self::Absolute(_) | Self::Relative(_) => 0xa000_000c,
        }
    }

    /// `REPARSE_DATA_BUFFER` from its ninth byte on.
    pub(crate) fn data(&self) -> Vec<u8> {
        match self {
            Self::Junction(target) => buffer(&format!(r"\??\{target}"), target, &[]),
            Self::Absolute(target) => buffer(&format!(r"\??\{target}"), target, &[0; 4]),
            Self::Relative(target) => buffer(target, target, &[1, 0, 0, 0]),
        }
    }
}

/// Offsets and lengths of both names in bytes, the flags, then the names, each with a NUL that its
/// length does not count.
fn buffer(substitute: &str, print: &str, flags: &[u8]) -> Vec<u8> {
    let utf16 =
        |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let (substitute, print) = (utf16(substitute), utf16(print));
    let numbers = [0, substitute.len(), substitute.len() + 2, print.len()];
    let mut bytes: Vec<u8> = numbers.iter().flat_map(|n| (*n as u16).to_le_bytes()).collect();
    bytes.extend_from_slice(flags);
    for name in [substitute, print] {
        bytes.extend_from_slice(&name);
        bytes.extend_from_slice(&[0, 0]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_junction_has_both_names() {
        let mut expected = vec![0, 0, 12, 0, 14, 0, 4, 0];
        expected.extend("\\??\\C:\0C:\0".bytes().flat_map(|byte| [byte, 0]));
        assert_eq!(Link::Junction("C:").data(), expected);
    }

    #[test]
    fn a_relative_link_says_so() {
        let mut expected = vec![0, 0, 2, 0, 4, 0, 2, 0, 1, 0, 0, 0];
        expected.extend("a\0a\0".bytes().flat_map(|byte| [byte, 0]));
        assert_eq!(Link::Relative("a").data(), expected);
    }
}
