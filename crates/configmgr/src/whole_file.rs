//! Files that are read whole, up to a limit.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// The bytes of a file that has at most `limit` of them. What it gives counts, not the size that it
/// claims: a device claims none, and never ends.
pub(crate) fn read_whole(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let problem = format!("it has more than {limit} bytes, the limit for such a file");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
    }
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_at_the_limit_is_read_and_a_longer_or_endless_one_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [7; 100]).unwrap();
        assert_eq!(read_whole(file.path(), 100).unwrap(), [7; 100]);
        for (path, limit) in [(file.path(), 99), (Path::new("/dev/zero"), 4096)] {
            let error = read_whole(path, limit).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
            assert!(error.to_string().contains(&limit.to_string()), "{error}");
        }
    }
}
