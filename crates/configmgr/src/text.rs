//! Text written by other people's tools: which encoding it is in, and its characters.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Why bytes are not text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes claim to be UTF-16 and are not: a half code unit or a lone surrogate.
    #[error("the text looks like {encoding} but is not valid {encoding}; save it again as UTF-8")]
    Malformed {
        /// The encoding that the byte order mark, or the zero bytes, suggest.
        encoding: &'static str,
    },
}

/// The characters of `bytes`, without a byte order mark.
///
/// A byte order mark decides. Without one, text whose first character has a zero byte beside it is
/// UTF-16, text that is valid UTF-8 is that, and anything else is taken as Windows-1252 ("ANSI"),
/// which is what Windows PowerShell and a site server's own INI writer produce.
pub fn decode(bytes: &[u8]) -> Result<String, DecodeError> {
    let (encoding, mark) = Encoding::for_bom(bytes).unwrap_or_else(|| (guess(bytes), 0));
    let body = bytes.get(mark..).unwrap_or_default();
    let (text, malformed) = encoding.decode_without_bom_handling(body);
    if malformed {
        return Err(DecodeError::Malformed { encoding: encoding.name() });
    }
    Ok(text.into_owned())
}

fn guess(bytes: &[u8]) -> &'static Encoding {
    match bytes {
        // Every format read here begins with an ASCII character, so one zero beside it tells.
        [0, second, ..] if *second != 0 => UTF_16BE,
        [first, 0, ..] if *first != 0 => UTF_16LE,
        _ if std::str::from_utf8(bytes).is_ok() => UTF_8,
        _ => WINDOWS_1252,
    }
}

/// `text` as UTF-16 units mapped to upper case one for one, as NTFS compares names: only
/// characters of the basic plane whose upper case is a single character change.
pub fn upcase(text: &str) -> Vec<u16> {
    fold(text, |c| single(c.to_uppercase()))
}

/// `text` as UTF-16 units mapped to lower case one for one (see [`upcase`]).
pub fn downcase(text: &str) -> Vec<u16> {
    fold(text, |c| single(c.to_lowercase()))
}

fn fold(text: &str, map: impl Fn(char) -> Option<char>) -> Vec<u16> {
    let mut units = Vec::with_capacity(text.len());
    let mut buffer = [0u16; 2];
    for c in text.chars() {
        let mapped = if c.len_utf16() == 1 { map(c).filter(|m| m.len_utf16() == 1) } else { None };
        units.extend_from_slice(mapped.unwrap_or(c).encode_utf16(&mut buffer));
    }
    units
}

fn single(mut mapped: impl Iterator<Item = char>) -> Option<char> {
    let first = mapped.next()?;
    mapped.next().is_none().then_some(first)
}

#[cfg(test)]
pub(crate) mod samples {
    /// `text` in every encoding and line ending that is accepted, each with what to call it.
    pub(crate) fn matrix(text: &str) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        for (ending, text) in [("LF", text.to_owned()), ("CRLF", text.replace('\n', "\r\n"))] {
            for mark in [false, true] {
                let marked = if mark { format!("\u{feff}{text}") } else { text.clone() };
                let units = || marked.encode_utf16();
                let label = |e: &str| format!("{e} {ending} mark={mark}");
                all.push((label("UTF-8"), marked.clone().into_bytes()));
                all.push((label("UTF-16LE"), units().flat_map(u16::to_le_bytes).collect()));
                all.push((label("UTF-16BE"), units().flat_map(u16::to_be_bytes).collect()));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_gives_the_same_text() {
        for (label, bytes) in samples::matrix("[File]\nName=Grüße 😀\n") {
            let text = decode(&bytes).unwrap().replace("\r\n", "\n");
            assert_eq!(text, "[File]\nName=Grüße 😀\n", "{label}");
        }
        assert_eq!(decode(b"Gr\xfc\xdfe").unwrap(), "Grüße");
        assert_eq!(decode(b"").unwrap(), "");
    }

    #[test]
    fn broken_utf16_is_refused() {
        assert!(matches!(
            decode(b"\xff\xfea\0b"),
            Err(DecodeError::Malformed { encoding: "UTF-16LE" })
        ));
        assert!(decode(b"\xff\xfe\x00\xd8a\0").is_err());
    }

    #[test]
    fn case_is_folded_one_for_one() {
        assert_eq!(upcase("straße é"), "STRAßE É".encode_utf16().collect::<Vec<_>>());
        assert_eq!(downcase("İA"), "İa".encode_utf16().collect::<Vec<_>>());
        assert_eq!(upcase("𐐨"), "𐐨".encode_utf16().collect::<Vec<_>>());
    }
}
