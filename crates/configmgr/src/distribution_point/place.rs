//! A place that holds contents: a content library by path, or a distribution point's address.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prestage_access::Access;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use url::Url;

use super::remote_file::RemoteFile;
use super::virtual_folder::is_virtual_folder;
use super::web_folders::below;
use crate::content_library;

/// Where contents lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum ContentPlace {
    /// A content library (`SCCMContentLib`) by path.
    Library(PathBuf),
    /// A distribution point's virtual folder, `http://dp1.corp.example/SMS_DP_SMSPKG$`, where files go
    /// by their SHA-256; or a content's folder in it, `…/SMS_DP_SMSPKG$/PS100012.3`, by their names.
    Http(Url),
}

/// A file of a content, as its listing has it.
#[derive(Debug, Clone)]
pub struct FileOfContent {
    /// Path inside the content, for messages.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// What identifies its bytes.
    pub sha256: [u8; 32],
}

impl ContentPlace {
    /// From an address or a path.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let is_http = ["http://", "https://"].iter().any(|start| {
            text.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start))
        });
        match Url::parse(text) {
            Ok(url) if is_http => Self::Http(url),
            _ => Self::Library(PathBuf::from(text)),
        }
    }

    /// Opens `bytes` of a file from `offset` on. Blocking; what is read is not checked here.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] when the file is not there or not what it was; others when it
    /// can't be read now.
    pub fn open(
        &self,
        file: &FileOfContent,
        offset: u64,
        bytes: u64,
        access: &Access,
        runtime: &Handle,
    ) -> io::Result<Box<dyn Read + Send>> {
        match self {
            Self::Library(library) => {
                let mut opened = File::open(local(library, file)?)?;
                opened.seek(SeekFrom::Start(offset))?;
                Ok(Box::new(opened.take(bytes)))
            }
            Self::Http(_) => {
                let remote = Arc::new(self.remote(file, access)?);
                Ok(Box::new(remote.reader(offset, bytes, runtime.clone())))
            }
        }
    }

    /// The path of a file in a content library; `None` over HTTP.
    ///
    /// # Errors
    /// When the library does not have it.
    pub fn local_path(&self, file: &FileOfContent) -> io::Result<Option<PathBuf>> {
        match self {
            Self::Library(library) => local(library, file).map(Some),
            Self::Http(_) => Ok(None),
        }
    }

    /// A file over HTTP.
    ///
    /// # Errors
    /// When this is a path, or the identity for the server can't be had.
    pub fn remote(&self, file: &FileOfContent, access: &Access) -> io::Result<RemoteFile> {
        let Self::Http(base) = self else {
            return Err(io::Error::other(format!("{self} is no address")));
        };
        let server = access.server(base).map_err(io::Error::other)?;
        Ok(RemoteFile::new(server, file_url(base, file), file.path.clone(), file.size))
    }
}

fn file_url(base: &Url, file: &FileOfContent) -> Url {
    if !is_virtual_folder(base) {
        return below(base, file.path.split('/'));
    }
    let name = hex::encode_upper(file.sha256);
    below(base, ["FileLib", name.get(..4).unwrap_or_default(), &name])
}

fn local(library: &Path, file: &FileOfContent) -> io::Result<PathBuf> {
    content_library::file_path(library, &file.sha256).map_err(io::Error::other)
}

impl fmt::Display for ContentPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Library(path) => path.display().fmt(f),
            Self::Http(url) => f.write_str(url.as_str().trim_end_matches('/')),
        }
    }
}

impl From<String> for ContentPlace {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl From<ContentPlace> for String {
    fn from(place: ContentPlace) -> Self {
        place.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_by_hash_in_the_library_and_by_name_in_a_content() {
        let file = FileOfContent { path: "sub dir/50%.txt".into(), size: 1, sha256: [0xab; 32] };
        let url = |base: &str| file_url(&base.parse().unwrap(), &file).to_string();
        let name = "AB".repeat(32);
        assert_eq!(
            url("http://dp1/SMS_DP_SMSPKG%24"),
            format!("http://dp1/SMS_DP_SMSPKG%24/FileLib/ABAB/{name}")
        );
        assert_eq!(
            url("http://dp1/SMS_DP_SMSPKG$/PS100012.3/"),
            "http://dp1/SMS_DP_SMSPKG$/PS100012.3/sub%20dir/50%25.txt"
        );
    }

    #[test]
    fn addresses_and_paths_are_told_apart_and_come_back() {
        for text in ["HTTPS://dp1.corp.example", "http://dp1:8080/x"] {
            assert!(matches!(ContentPlace::new(text), ContentPlace::Http(_)), "{text}");
        }
        for text in ["/mnt/dp1/SCCMContentLib", "httpd/lib", r"\\dp1\SCCMContentLib$"] {
            let place = ContentPlace::new(text);
            assert!(matches!(place, ContentPlace::Library(_)), "{text}");
            assert_eq!(ContentPlace::new(&place.to_string()), place);
        }
    }
}
