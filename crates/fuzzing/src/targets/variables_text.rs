//! The XML inside `Variables.dat`: the input is sealed as a medium without a password has it, so
//! that mutations reach the text. The sealing is this crate's own.

use aes::Aes128;
use cbc::cipher::{BlockModeEncrypt as _, KeyIvInit as _, block_padding::Pkcs7};

/// The first half of the key that follows from the public default password.
const DEFAULT_KEY: [u8; 16] = [
    0xd1, 0x5d, 0x6a, 0x10, 0x99, 0x3a, 0x43, 0x12, 0x66, 0xd8, 0x7b, 0xf5, 0xe6, 0xc7, 0x22, 0x52,
];
const AES_128: u32 = 0x660e;

pub(super) fn check(input: &[u8]) {
    super::variables_file::check(&sealed(&String::from_utf8_lossy(input)));
}

fn sealed(text: &str) -> Vec<u8> {
    let plain: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let ciphertext = cbc::Encryptor::<Aes128>::new(&DEFAULT_KEY.into(), &[0; 16].into())
        .encrypt_padded_vec::<Pkcs7>(&plain);
    let mut file = vec![0, 0, 0xed, 0xec];
    for field in [0x14, plain.len() as u32, ciphertext.len() as u32, AES_128, 0] {
        file.extend(field.to_le_bytes());
    }
    file.extend(ciphertext);
    file
}
