//! Secrets that are looked for everywhere, in every form in which they might be written.

use std::{fmt, path::Path};

use aho_corasick::AhoCorasick;
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

/// The secrets, and a search for all their forms at once.
pub struct Marks {
    forms: Vec<Form>,
    search: AhoCorasick,
}

/// A secret in one form.
#[derive(Clone)]
pub struct Form {
    /// Which secret.
    pub secret: String,
    /// Which form.
    pub form: &'static str,
    pub bytes: Vec<u8>,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.secret, self.form)
    }
}

impl Marks {
    /// A search for these secrets, by what people call them.
    pub fn new(secrets: &[(String, Vec<u8>)]) -> Self {
        let mut forms = Vec::new();
        for (secret, bytes) in secrets {
            assert!(bytes.len() >= 12, "'{secret}' may occur by chance");
            let mut add = |form, bytes| forms.push(Form { secret: secret.clone(), form, bytes });
            written(bytes, ["itself", "hex", "HEX", "base64 0", "base64 1", "base64 2"], &mut add);
            // Text may be widened before it is written down in one of these ways, or after.
            if let Ok(text) = std::str::from_utf8(bytes) {
                let names = [
                    "UTF-16",
                    "hex of UTF-16",
                    "HEX of UTF-16",
                    "base64 0 of UTF-16",
                    "base64 1 of UTF-16",
                    "base64 2 of UTF-16",
                ];
                written(&wide(text), names, &mut add);
            }
            add("hex in UTF-16", wide(&hex::encode(bytes)));
            add("HEX in UTF-16", wide(&hex::encode_upper(bytes)));
        }
        let search = AhoCorasick::new(forms.iter().map(|form| &form.bytes)).unwrap();
        Self { forms, search }
    }

    /// All forms of all secrets.
    pub fn forms(&self) -> &[Form] {
        &self.forms
    }

    /// What is in there.
    pub fn found_in(&self, bytes: &[u8]) -> Vec<String> {
        let found = self.search.find_overlapping_iter(bytes);
        let mut found: Vec<String> =
            found.map(|at| self.forms[at.pattern().as_usize()].to_string()).collect();
        found.sort();
        found.dedup();
        found
    }

    /// The same for a file and for all that it holds compressed with zstd.
    pub fn found_in_file(&self, path: &Path) -> Vec<String> {
        match std::fs::read_link(path) {
            // Media have links to what is on no machine here.
            Ok(target) => self.found_in(target.as_os_str().as_encoded_bytes()),
            Err(_) => self.found_unpacked(&std::fs::read(path).unwrap()),
        }
    }

    /// What is in there, as it is and decompressed.
    pub fn found_unpacked(&self, bytes: &[u8]) -> Vec<String> {
        const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
        let mut found = self.found_in(bytes);
        for start in bytes.windows(4).enumerate().filter(|(_, four)| *four == ZSTD) {
            let mut plain = Vec::new();
            // What only looks like a frame gives nothing.
            if let Ok(mut frames) = zstd::Decoder::new(&bytes[start.0..]) {
                let _ = std::io::copy(&mut frames, &mut plain);
            }
            found.extend(self.found_in(&plain));
        }
        found
    }
}

/// Bytes as they are, in hexadecimal, and in base64 wherever they begin in what is encoded.
fn written(bytes: &[u8], names: [&'static str; 6], add: &mut impl FnMut(&'static str, Vec<u8>)) {
    let [itself, hex, upper, base64 @ ..] = names;
    add(itself, bytes.to_vec());
    add(hex, hex::encode(bytes).into_bytes());
    add(upper, hex::encode_upper(bytes).into_bytes());
    for (before, name) in base64.into_iter().enumerate() {
        let shifted = [&[0; 3][..before], bytes].concat();
        let text = STANDARD_NO_PAD.encode(&shifted).into_bytes();
        // Characters at the ends have bits of the neighbours.
        let (first, whole) = ((before * 8).div_ceil(6), shifted.len() * 8 / 6);
        add(name, text[first..whole].to_vec());
    }
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
