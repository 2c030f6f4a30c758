//! From a password to a key, and CBC with that key.
//!
//! The key derivation is CryptoAPI's `CryptDeriveKey` with SHA-1, in its long form for every
//! algorithm, AES-128 included (reference: media variables, key and cipher).

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use des::TdesEde3;
use sha1::{Digest as _, Sha1};
use zeroize::Zeroizing;

use super::container::Algorithm;

/// Length of what the derivation yields; a key is its start.
const KEY_STREAM_BYTES: usize = 40;

/// `SHA-1(a) ‖ SHA-1(b)`, where a and b are 64 bytes of 0x36 and 0x5C with the hash of the
/// password's UTF-16LE bytes (no terminator) XORed into their start.
pub(super) fn key_stream(password: &str) -> Zeroizing<[u8; KEY_STREAM_BYTES]> {
    let wide: Zeroizing<Vec<u8>> =
        Zeroizing::new(password.encode_utf16().flat_map(u16::to_le_bytes).collect());
    let hash = Zeroizing::new(<[u8; 20]>::from(Sha1::digest(&*wide)));
    let mut stream = Zeroizing::new([0_u8; KEY_STREAM_BYTES]);
    for (half, fill) in stream.chunks_exact_mut(20).zip([0x36_u8, 0x5C]) {
        let mut block = Zeroizing::new([fill; 64]);
        block.iter_mut().zip(hash.iter()).for_each(|(b, h)| *b ^= h);
        half.copy_from_slice(&Sha1::digest(block.as_slice()));
    }
    stream
}

/// Encrypts with a zero IV and PKCS#7. Callers write AES only; the others are read.
pub(super) fn encrypt(algorithm: Algorithm, password: &str, plain: &[u8]) -> Vec<u8> {
    macro_rules! with {
        ($cipher:ty, $key:literal, $block:literal) => {{
            let stream = key_stream(password);
            let mut key = Zeroizing::new([0_u8; $key]);
            key.copy_from_slice(&stream[..$key]);
            cbc::Encryptor::<$cipher>::new((&*key).into(), &[0_u8; $block].into())
                .encrypt_padded_vec::<Pkcs7>(plain)
        }};
    }
    match algorithm {
        Algorithm::TripleDes => with!(TdesEde3, 24, 8),
        Algorithm::Aes128 => with!(Aes128, 16, 16),
        Algorithm::Aes192 => with!(Aes192, 24, 16),
        Algorithm::Aes256 => with!(Aes256, 32, 16),
    }
}

/// Decrypts; `None` when the padding does not come out, which is what a wrong password gives
/// (255 times in 256).
pub(super) fn decrypt(
    algorithm: Algorithm,
    password: &str,
    ciphertext: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    macro_rules! with {
        ($cipher:ty, $key:literal, $block:literal) => {{
            let stream = key_stream(password);
            let mut key = Zeroizing::new([0_u8; $key]);
            key.copy_from_slice(&stream[..$key]);
            cbc::Decryptor::<$cipher>::new((&*key).into(), &[0_u8; $block].into())
                .decrypt_padded_vec::<Pkcs7>(ciphertext)
                .ok()
                .map(Zeroizing::new)
        }};
    }
    match algorithm {
        Algorithm::TripleDes => with!(TdesEde3, 24, 8),
        Algorithm::Aes128 => with!(Aes128, 16, 16),
        Algorithm::Aes192 => with!(Aes192, 24, 16),
        Algorithm::Aes256 => with!(Aes256, 32, 16),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variables::DEFAULT_PASSWORD;

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn the_worked_keys_of_the_reference() {
        assert_eq!(hex::encode(&key_stream("Password1")[..16]), "472b14c830bccddc2b57c2f91682e0b3");
        assert_eq!(
            hex::encode(&key_stream(DEFAULT_PASSWORD)[..32]),
            "d15d6a10993a431266d87bf5e6c72252621cfef7c42a749bb4df2aa1a156a95f"
        );
    }

    #[test]
    fn the_worked_first_blocks_of_the_reference() {
        let plain = wide(r#"<?xml version="1.0" ?>"#);
        for (algorithm, first) in [
            (Algorithm::Aes256, "9dfe10217c077f849a55a0439a2309b7"),
            (Algorithm::Aes128, "54d3790a76eff0d554bae83c55f48b20"),
        ] {
            let cipher = encrypt(algorithm, DEFAULT_PASSWORD, &plain);
            assert_eq!(hex::encode(&cipher[..16]), first);
        }
    }

    #[test]
    fn the_public_test_vector_is_the_start_of_xml() {
        // With a zero IV the first block depends on the first 16 bytes alone.
        let first = hex::decode("11cb54aa3b699f61f86ab312e6fb97ec").unwrap();
        let plain = wide("<?xml ve");
        assert_eq!(encrypt(Algorithm::Aes128, "Password1", &plain)[..16], first);
    }

    #[test]
    fn what_was_encrypted_comes_back_with_every_algorithm() {
        for algorithm in
            [Algorithm::TripleDes, Algorithm::Aes128, Algorithm::Aes192, Algorithm::Aes256]
        {
            for length in [0, 1, 7, 8, 15, 16, 17, 4096] {
                let plain = vec![b'x'; length];
                let cipher = encrypt(algorithm, "p", &plain);
                assert!(cipher.len() > length && cipher.len() <= length + 16);
                assert_eq!(*decrypt(algorithm, "p", &cipher).unwrap(), plain);
            }
        }
    }
}
