//! The file around the ciphertext (reference: media variables, binary layout).
//!
//! ```text
//! 0   4  magic 00 00 ED EC
//! 4   4  size of the struct that follows it, 0x14
//! 8   4  plaintext bytes
//! 12  4  ciphertext bytes
//! 16  4  CryptoAPI ALG_ID
//! 20  4  flags, 0
//! 24  n  ciphertext, then slack that readers ignore
//! ```

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{MediaVariables, VariablesError, cipher, xml};
use crate::unverified::variables_slack;
use prestage_secret::Secret;

/// The password that Windows PE uses when the medium has none. It is public.
pub const DEFAULT_PASSWORD: &str = "{BAC6E688-DE21-4ABE-B7FB-C9F54E6DB664}";

/// The largest file that is read, in bytes. Real ones have some tens of kilobytes.
pub const LARGEST_FILE_BYTES: usize = 16 * 1024 * 1024;

const MAGIC: [u8; 8] = [0x00, 0x00, 0xED, 0xEC, 0x14, 0x00, 0x00, 0x00];
const HEADER_BYTES: usize = 24;

/// How the variables are encrypted.
///
/// AES-128 is what boot images of every current branch read; AES-256 was seen on recent sites.
/// The other two are for reading old media.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// 3DES with three keys, of the 2007 and 2012 versions.
    TripleDes,
    /// AES with 128 bits: the broadest reach.
    #[default]
    Aes128,
    /// AES with 192 bits.
    Aes192,
    /// AES with 256 bits: recent current branch.
    Aes256,
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::TripleDes, Self::Aes128, Self::Aes192, Self::Aes256];

    /// The CryptoAPI `ALG_ID` in the header.
    #[must_use]
    pub const fn id(self) -> u32 {
        match self {
            Self::TripleDes => 0x6603,
            Self::Aes128 => 0x660E,
            Self::Aes192 => 0x660F,
            Self::Aes256 => 0x6610,
        }
    }

    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TripleDes => "3DES",
            Self::Aes128 => "AES-128",
            Self::Aes192 => "AES-192",
            Self::Aes256 => "AES-256",
        }
    }

    const fn block_bytes(self) -> usize {
        match self {
            Self::TripleDes => 8,
            _ => 16,
        }
    }

    /// PKCS#7 always pads, up to a whole block.
    const fn ciphertext_bytes(self, plain: usize) -> usize {
        (plain / self.block_bytes() + 1) * self.block_bytes()
    }

    fn from_id(id: u32) -> Result<Self, VariablesError> {
        let found = Self::ALL.into_iter().find(|algorithm| algorithm.id() == id);
        found.ok_or(VariablesError::Algorithm { id })
    }
}

/// The bytes of `Variables.dat`. Without a password the public default is used, so the file is
/// then not protected at all.
///
/// # Errors
/// [`VariablesError::Character`] when a value cannot be carried.
pub fn encode(
    variables: &MediaVariables,
    algorithm: Algorithm,
    password: Option<&Secret>,
) -> Result<Vec<u8>, VariablesError> {
    let text = xml::write(variables)?;
    let plain: Zeroizing<Vec<u8>> =
        Zeroizing::new(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
    let ciphertext = cipher::encrypt(algorithm, password_or_default(password), &plain);
    let size = HEADER_BYTES + ciphertext.len();
    if size > LARGEST_FILE_BYTES {
        return Err(VariablesError::TooLarge { found: size });
    }
    let mut file = Vec::with_capacity(size + 18);
    file.extend_from_slice(&MAGIC);
    for field in [length(plain.len()), length(ciphertext.len()), algorithm.id(), 0] {
        file.extend_from_slice(&field.to_le_bytes());
    }
    file.extend_from_slice(&ciphertext);
    file.resize(size + variables_slack(plain.len(), ciphertext.len()), 0);
    Ok(file)
}

/// Reads `Variables.dat`, with the password or with the public default.
///
/// # Errors
/// [`VariablesError`] for every way in which the bytes are not such a file, or do not open.
pub fn decode(file: &[u8], password: Option<&Secret>) -> Result<MediaVariables, VariablesError> {
    let sealed = Sealed::parse(file)?;
    let plain = cipher::decrypt(sealed.algorithm, password_or_default(password), sealed.ciphertext)
        .filter(|plain| plain.len() == sealed.plain_bytes)
        .ok_or_else(|| wrong_password(password))?;
    let text = from_utf16(&plain).ok_or_else(|| wrong_password(password))?;
    // A wrong key passes the padding once in 256; what it gives does not look like this.
    if !text.trim_start_matches('\u{FEFF}').trim_start().starts_with('<') {
        return Err(wrong_password(password));
    }
    xml::read(&text)
}

struct Sealed<'a> {
    algorithm: Algorithm,
    plain_bytes: usize,
    ciphertext: &'a [u8],
}

impl<'a> Sealed<'a> {
    fn parse(file: &'a [u8]) -> Result<Self, VariablesError> {
        if file.len() > LARGEST_FILE_BYTES {
            return Err(VariablesError::TooLarge { found: file.len() });
        }
        if !file.starts_with(&MAGIC) && file.len() >= MAGIC.len() {
            return Err(VariablesError::Magic { found: hex::encode(&file[..MAGIC.len()]) });
        }
        let truncated = |expected| VariablesError::Truncated { found: file.len(), expected };
        let (header, rest) =
            file.split_first_chunk::<HEADER_BYTES>().ok_or_else(|| truncated(HEADER_BYTES))?;
        let field = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let (plain_bytes, cipher_bytes) = (field(8) as usize, field(12) as usize);
        let algorithm = Algorithm::from_id(field(16))?;
        if plain_bytes >= LARGEST_FILE_BYTES
            || cipher_bytes != algorithm.ciphertext_bytes(plain_bytes)
        {
            return Err(VariablesError::Lengths {
                plain: plain_bytes,
                cipher: cipher_bytes,
                algorithm: algorithm.name(),
            });
        }
        let ciphertext =
            rest.get(..cipher_bytes).ok_or_else(|| truncated(HEADER_BYTES + cipher_bytes))?;
        Ok(Self { algorithm, plain_bytes, ciphertext })
    }
}

fn password_or_default(password: Option<&Secret>) -> &str {
    password.map_or(DEFAULT_PASSWORD, Secret::expose)
}

const fn wrong_password(password: Option<&Secret>) -> VariablesError {
    match password {
        Some(_) => VariablesError::WrongPassword {
            tried: "this password",
            advice: "give the password that the medium was made with",
        },
        None => VariablesError::WrongPassword {
            tried: "the default password",
            advice: "the medium has a password of its own, give it",
        },
    }
}

fn from_utf16(bytes: &[u8]) -> Option<Zeroizing<String>> {
    if !bytes.len().is_multiple_of(2) {
        return None;
    }
    let units: Zeroizing<Vec<u16>> = Zeroizing::new(
        bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect(),
    );
    // Some writers end the text with NULs.
    let end = units.iter().rposition(|unit| *unit != 0).map_or(0, |last| last + 1);
    String::from_utf16(&units[..end]).ok().map(Zeroizing::new)
}

/// Lengths are bounded by [`LARGEST_FILE_BYTES`], which the caller checks.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> MediaVariables {
        let mut variables = MediaVariables::new();
        variables.set("_SMSTSMediaType", "OEMMedia".into());
        variables.set("Greeting", "Grüße & <Küsse> ]]> \r\n\t😀".into());
        variables.set("Empty", "".into());
        variables
    }

    #[test]
    fn every_algorithm_and_password_comes_back() {
        let password = Secret::from("Pässwörd-25-characters-long");
        for algorithm in Algorithm::ALL {
            for password in [None, Some(&password)] {
                let file = encode(&sample(), algorithm, password).unwrap();
                assert_eq!(decode(&file, password).unwrap(), sample());
            }
        }
    }

    #[test]
    fn the_header_is_that_of_real_files() {
        let file = encode(&sample(), Algorithm::Aes256, None).unwrap();
        let plain = u32::from_le_bytes(file[8..12].try_into().unwrap()) as usize;
        let cipher = u32::from_le_bytes(file[12..16].try_into().unwrap()) as usize;
        assert_eq!(hex::encode(&file[..8]), "0000edec14000000");
        assert_eq!(hex::encode(&file[16..24]), "1066000000000000");
        assert_eq!(cipher, plain / 16 * 16 + 16);
        assert_eq!(file.len(), 24 + plain + 18);
    }

    #[test]
    fn real_headers_have_lengths_that_fit() {
        for header in [
            "0000edec14000000b2320000c03200000e66000000000000",
            "0000edec1400000010330000203300000e66000000000000",
            "0000edec1400000064340000703400001066000000000000",
        ] {
            let mut file = hex::decode(header).unwrap();
            file.resize(24 + 0x3500, 0);
            Sealed::parse(&file).unwrap();
        }
    }

    #[test]
    fn a_wrong_password_is_told_apart_from_a_missing_one() {
        let file = encode(&sample(), Algorithm::Aes128, Some(&"right".into())).unwrap();
        let wrong = decode(&file, Some(&"wrong".into())).unwrap_err();
        assert!(wrong.to_string().contains("this password"), "{wrong}");
        let missing = decode(&file, None).unwrap_err();
        assert!(missing.to_string().contains("has a password of its own"), "{missing}");
    }

    #[test]
    fn no_wrong_password_ever_opens() {
        let file = encode(&sample(), Algorithm::Aes128, Some(&"right".into())).unwrap();
        for attempt in 0..1000 {
            let guess = Secret::new(format!("wrong{attempt}"));
            let error = decode(&file, Some(&guess)).unwrap_err();
            assert!(matches!(error, VariablesError::WrongPassword { .. }), "{attempt}: {error}");
        }
    }

    #[test]
    fn damage_is_named() {
        let file = encode(&sample(), Algorithm::Aes128, None).unwrap();
        let changed = |at: usize, byte: u8| {
            let mut copy = file.clone();
            copy[at] = byte;
            decode(&copy, None).unwrap_err()
        };
        assert!(matches!(changed(2, 0), VariablesError::Magic { .. }));
        assert!(matches!(changed(9, 0x77), VariablesError::Lengths { .. }));
        assert!(matches!(changed(11, 0xFF), VariablesError::Lengths { .. }));
        assert!(matches!(changed(16, 0x01), VariablesError::Algorithm { id: 0x6601 }));
        // A length that fits the ciphertext but not what comes out of it.
        assert!(matches!(changed(8, file[8] ^ 2), VariablesError::WrongPassword { .. }));
        for cut in [0, 7, 23, 24, 40] {
            let error = decode(&file[..cut], None).unwrap_err();
            assert!(matches!(error, VariablesError::Truncated { .. }), "{cut}: {error}");
        }
        let huge = vec![0; LARGEST_FILE_BYTES + 1];
        assert!(matches!(decode(&huge, None), Err(VariablesError::TooLarge { .. })));
    }

    #[test]
    fn slack_of_any_length_is_ignored() {
        let file = encode(&sample(), Algorithm::Aes128, None).unwrap();
        let cipher = u32::from_le_bytes(file[12..16].try_into().unwrap()) as usize;
        for slack in [0, 4, 6, 8, 100] {
            let mut copy = file.clone();
            copy.resize(24 + cipher + slack, 0xAA);
            assert_eq!(decode(&copy, None).unwrap(), sample());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_answered_without_a_panic(bytes: Vec<u8>, tail: Vec<u8>) {
            let _ = decode(&bytes, None);
            let mut file = MAGIC.to_vec();
            file.extend(tail);
            let _ = decode(&file, None);
        }

        #[test]
        fn any_text_comes_back(value in "[^\u{0}-\u{8}\u{B}\u{C}\u{E}-\u{1F}\u{FFFE}\u{FFFF}]{0,60}") {
            let mut variables = MediaVariables::new();
            variables.set("V", Secret::new(value));
            let file = encode(&variables, Algorithm::Aes256, None).unwrap();
            proptest::prop_assert_eq!(decode(&file, None).unwrap(), variables);
        }
    }
}
