//! Reading a file while checking that it is the file.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// The bytes of a file are not those the content lists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: expected SHA-256 {expected} over {expected_size} bytes, got {got} over {got_size}; the distribution point's copy is damaged, validate or redistribute the content", expected = hex::encode_upper(.expected), got = hex::encode_upper(.got))]
pub struct ContentMismatch {
    /// Which file: whatever the reader was told, usually content ID and path.
    pub file: String,
    /// The SHA-256 that `DataLib` lists.
    pub expected: [u8; 32],
    /// The size that `DataLib` lists, bytes.
    pub expected_size: u64,
    /// The SHA-256 of what was read.
    pub got: [u8; 32],
    /// How much was read, bytes. One more than expected at least when there was too much.
    pub got_size: u64,
}

/// Passes bytes through and computes their SHA-256; a read that meets the end of a file that differs
/// fails with [`io::ErrorKind::InvalidData`] around a [`ContentMismatch`]. Until a read has returned 0,
/// nothing read is verified.
#[derive(Debug)]
pub struct VerifyingReader<R> {
    inner: R,
    file: String,
    expected: [u8; 32],
    expected_size: u64,
    hash: Sha256,
    got_size: u64,
    verdict: Option<Result<(), ContentMismatch>>,
}

impl<R> VerifyingReader<R> {
    /// Reads `inner`, which is `file` and must be `expected_size` bytes of SHA-256 `expected`.
    pub fn new(inner: R, file: String, expected: [u8; 32], expected_size: u64) -> Self {
        let hash = Sha256::new();
        Self { inner, file, expected, expected_size, hash, got_size: 0, verdict: None }
    }

    /// Whether the end was met and all bytes were as expected.
    pub fn is_verified(&self) -> bool {
        matches!(self.verdict, Some(Ok(())))
    }

    /// The mismatch inside an error of `read`, if that is what it was.
    pub fn mismatch(error: &io::Error) -> Option<&ContentMismatch> {
        error.get_ref().and_then(|inner| inner.downcast_ref())
    }

    fn conclude(&mut self) -> io::Result<usize> {
        let verdict = self.verdict.get_or_insert_with(|| {
            let got: [u8; 32] = self.hash.clone().finalize().into();
            if got == self.expected && self.got_size == self.expected_size {
                return Ok(());
            }
            Err(ContentMismatch {
                file: self.file.clone(),
                expected: self.expected,
                expected_size: self.expected_size,
                got,
                got_size: self.got_size,
            })
        });
        match verdict {
            Ok(()) => Ok(0),
            Err(mismatch) => Err(io::Error::new(io::ErrorKind::InvalidData, mismatch.clone())),
        }
    }
}

impl<R: Read> Read for VerifyingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.verdict.is_some() {
            return self.conclude();
        }
        let count = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        self.got_size += count as u64;
        // A file that is already too long is wrong; there is no need to read the rest of it.
        if count == 0 || self.got_size > self.expected_size { self.conclude() } else { Ok(count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8], expected: &[u8]) -> (io::Result<usize>, bool) {
        let sha = Sha256::digest(expected).into();
        let mut reader =
            VerifyingReader::new(body, "PS100012.3/a.txt".into(), sha, expected.len() as u64);
        let result = reader.read_to_end(&mut Vec::new());
        (result, reader.is_verified())
    }

    #[test]
    fn right_bytes_pass_and_wrong_ones_do_not() {
        assert!(matches!(read(b"hello", b"hello"), (Ok(5), true)));
        assert!(matches!(read(b"", b""), (Ok(0), true)));
        for body in [&b"hellO"[..], b"hell", b"hello!", b""] {
            let (result, verified) = read(body, b"hello");
            let error = result.unwrap_err();
            let mismatch = VerifyingReader::<&[u8]>::mismatch(&error).unwrap();
            assert_eq!(mismatch.file, "PS100012.3/a.txt");
            assert_eq!(mismatch.got_size, body.len() as u64);
            assert!(!verified);
        }
    }

    #[test]
    fn a_mismatch_stays_one() {
        let mut reader = VerifyingReader::new(&b"x"[..], "f".into(), [0; 32], 1);
        let mut buffer = [0; 4];
        assert_eq!(reader.read(&mut buffer).unwrap(), 1);
        assert!(reader.read(&mut buffer).is_err());
        assert!(reader.read(&mut buffer).is_err());
    }
}
