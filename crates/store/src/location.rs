//! Addresses of object stores and of single objects.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where a store or an object is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectUrl {
    /// A folder or file of this machine, or of a file system mounted on it. Always absolute.
    Local(PathBuf),
    /// A bucket and what is below it. `key` has no slash at either end; empty is the bucket itself.
    Bucket {
        /// Who keeps the bucket.
        cloud: Cloud,
        /// The bucket's name; Azure calls it a container.
        bucket: String,
        /// Prefix of a store, or key of an object, as it is (nothing is percent-decoded).
        key: String,
    },
}

/// The kinds of stores that keep objects in buckets.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Cloud {
    /// Amazon S3, or a server that speaks its protocol.
    S3,
    /// Azure Blob Storage.
    Azure,
    /// Google Cloud Storage.
    Google,
}

impl Cloud {
    /// The scheme of addresses in it.
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Azure => "az",
            Self::Google => "gs",
        }
    }
}

/// An address can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Nothing was given.
    #[error("the address of the object store or output is empty; give a path or s3://bucket/name")]
    Empty,
    /// A scheme nobody knows.
    #[error(
        "{scheme}:// is not an object store's scheme; use a path, file://, s3://bucket/name, \
         az://container/name or gs://bucket/name"
    )]
    Scheme {
        /// The scheme as given.
        scheme: String,
    },
    /// The address holds a user name or password. It is not repeated here.
    #[error(
        "the address of a bucket must not hold credentials; put them into the environment \
         (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AZURE_STORAGE_ACCOUNT_KEY, \
         GOOGLE_SERVICE_ACCOUNT)"
    )]
    Credentials,
    /// No bucket.
    #[error("{url} names no bucket; write its name behind the scheme, as in s3://bucket/prefix")]
    Bucket {
        /// The address as given.
        url: String,
    },
    /// A path in the address that no store can hold.
    #[error("{url} has an empty, '.' or '..' name or a control character in its path; remove it")]
    Path {
        /// The address as given.
        url: String,
    },
    /// The address is a whole store where one object is wanted.
    #[error("{url} names no object; add the file's name")]
    NoName {
        /// The address as given.
        url: String,
    },
}

impl ObjectUrl {
    /// Reads a path (relative ones are taken from the working folder), `file://`, `s3://`, `az://`
    /// or `gs://`.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        match text.split_once("://") {
            None if text.is_empty() => Err(UrlError::Empty),
            None => local(Path::new(text), text),
            Some(("file", _)) => {
                let path = url::Url::parse(text).ok();
                let path = path.and_then(|url| url.to_file_path().ok());
                local(&path.ok_or_else(|| bad_path(text))?, text)
            }
            Some(("s3" | "s3a", rest)) => bucket(Cloud::S3, rest, text),
            Some(("az" | "azure", rest)) => bucket(Cloud::Azure, rest, text),
            Some(("gs", rest)) => bucket(Cloud::Google, rest, text),
            Some((scheme, _)) => Err(UrlError::Scheme { scheme: scheme.to_owned() }),
        }
    }

    /// The last name in the address: a medium's file name.
    pub fn name(&self) -> Result<&str, UrlError> {
        let name = match self {
            Self::Local(path) => path.file_name().and_then(|name| name.to_str()),
            Self::Bucket { key, .. } => key.rsplit('/').next().filter(|name| !name.is_empty()),
        };
        name.ok_or_else(|| UrlError::NoName { url: self.to_string() })
    }

    /// The folder or prefix that holds this object.
    pub fn parent(&self) -> Result<Self, UrlError> {
        self.name()?;
        Ok(match self {
            Self::Local(path) => Self::Local(path.parent().unwrap_or(path).to_path_buf()),
            Self::Bucket { cloud, bucket, key } => Self::Bucket {
                cloud: *cloud,
                bucket: bucket.clone(),
                key: key.rsplit_once('/').map_or("", |(parent, _)| parent).to_owned(),
            },
        })
    }

    /// The address of volume `number` (from 1) of the split medium at this one, named as
    /// Microsoft's tools do: `w.wim` or `w.swm` becomes `w.swm`, `w2.swm`, `w3.swm`, ….
    pub fn volume(&self, number: u32) -> Result<Self, UrlError> {
        let stem = without_ending(self.name()?);
        let number = if number > 1 { number.to_string() } else { String::new() };
        Ok(self.parent()?.join(&format!("{stem}{number}.swm")))
    }

    /// What the keys of this medium in a bucket and of all its volumes begin with.
    pub(crate) fn volumes_begin_with(&self) -> Result<&str, UrlError> {
        self.name()?;
        match self {
            Self::Bucket { key, .. } => Ok(without_ending(key)),
            Self::Local(_) => Err(UrlError::NoName { url: self.to_string() }),
        }
    }

    /// Whether a key of its bucket is this medium's, or a volume's of it.
    pub(crate) fn is_medium_key(&self, key: &str) -> bool {
        let Self::Bucket { key: own, .. } = self else {
            return false;
        };
        let number = key.strip_prefix(without_ending(own)).and_then(|end| end.strip_suffix(".swm"));
        key == own || number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// The address of an object below this store.
    pub fn join(&self, key: &str) -> Self {
        match self {
            Self::Local(path) => Self::Local(path.join(key)),
            Self::Bucket { cloud, bucket, key: prefix } => Self::Bucket {
                cloud: *cloud,
                bucket: bucket.clone(),
                key: if prefix.is_empty() { key.to_owned() } else { format!("{prefix}/{key}") },
            },
        }
    }
}

/// A name, or the key of an object, without what says that it is a WIM.
fn without_ending(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, end)) if !stem.is_empty() && is_wim_ending(end) => stem,
        _ => name,
    }
}

fn is_wim_ending(text: &str) -> bool {
    ["wim", "swm"].iter().any(|ending| text.eq_ignore_ascii_case(ending))
}

fn local(path: &Path, text: &str) -> Result<ObjectUrl, UrlError> {
    let absolute = std::path::absolute(path).map_err(|_| bad_path(text))?;
    Ok(ObjectUrl::Local(absolute))
}

fn bucket(cloud: Cloud, rest: &str, text: &str) -> Result<ObjectUrl, UrlError> {
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.contains('@') {
        return Err(UrlError::Credentials);
    }
    if bucket.is_empty() {
        return Err(UrlError::Bucket { url: text.to_owned() });
    }
    let key = key.strip_suffix('/').unwrap_or(key);
    let fits = |name: &str| !matches!(name, "" | "." | "..") && !name.chars().any(char::is_control);
    if !key.is_empty() && !key.split('/').all(fits) {
        return Err(bad_path(text));
    }
    Ok(ObjectUrl::Bucket { cloud, bucket: bucket.to_owned(), key: key.to_owned() })
}

fn bad_path(text: &str) -> UrlError {
    UrlError::Path { url: text.to_owned() }
}

impl fmt::Display for ObjectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::Bucket { cloud, bucket, key } => {
                let slash = if key.is_empty() { "" } else { "/" };
                write!(f, "{}://{bucket}{slash}{key}", cloud.scheme())
            }
        }
    }
}

impl FromStr for ObjectUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ObjectUrl {
        ObjectUrl::parse(text).unwrap()
    }

    #[test]
    fn paths_become_absolute_and_file_urls_are_decoded() {
        assert_eq!(parse("/a/b.wim"), ObjectUrl::Local("/a/b.wim".into()));
        assert_eq!(parse("file:///a/b%20c"), ObjectUrl::Local("/a/b c".into()));
        let ObjectUrl::Local(relative) = parse("x/y") else {
            panic!("a path is local");
        };
        assert!(relative.is_absolute() && relative.ends_with("x/y"));
    }

    #[test]
    fn addresses_of_buckets_round_trip_and_keep_their_characters() {
        for scheme in ["s3", "az", "gs"] {
            for rest in ["media", "media/a b+c/w11.wim", "media/50%25"] {
                let text = format!("{scheme}://{rest}");
                assert_eq!(parse(&text).to_string(), text);
            }
        }
        assert_eq!(parse("s3://media/pre/").to_string(), "s3://media/pre");
        assert_eq!(parse("s3://media/pre").join("k").to_string(), "s3://media/pre/k");
        assert_eq!(parse("s3://media").join("k").to_string(), "s3://media/k");
    }

    #[test]
    fn name_and_parent_take_an_address_apart() {
        for (text, parent) in [
            ("s3://media/a/w.wim", "s3://media/a"),
            ("s3://media/w.wim", "s3://media"),
            ("az://media/a/w.wim", "az://media/a"),
            ("/out/w.wim", "/out"),
        ] {
            assert_eq!(parse(text).name(), Ok("w.wim"));
            assert_eq!(parse(text).parent().unwrap().to_string(), parent);
        }
        assert!(parse("s3://media").name().is_err());
        assert!(parse("/").parent().is_err());
    }

    #[test]
    fn volumes_are_named_as_microsofts_tools_name_them() {
        let named = |text, number| parse(text).volume(number).unwrap().to_string();
        for text in ["/out/w11.x.wim", "/out/w11.x.SWM", "/out/w11.x"] {
            assert_eq!(named(text, 1), "/out/w11.x.swm");
            assert_eq!(named(text, 2), "/out/w11.x2.swm");
        }
        assert_eq!(named("s3://media/a/w.wim", 12), "s3://media/a/w12.swm");
        assert_eq!(named("s3://media/.wim", 2), "s3://media/.wim2.swm");
        assert!(parse("s3://media").volume(1).is_err());
    }

    #[test]
    fn a_medium_has_its_own_key_and_its_volumes() {
        let medium = parse("s3://media/a/w.wim");
        assert_eq!(medium.volumes_begin_with().unwrap(), "a/w");
        for key in ["a/w.wim", "a/w.swm", "a/w2.swm", "a/w12.swm"] {
            assert!(medium.is_medium_key(key), "{key}");
        }
        for key in ["a/w.wim.manifest.json", "a/w2.wim", "a/w-b.swm", "a/wx.swm", "w.wim", "a/w"] {
            assert!(!medium.is_medium_key(key), "{key}");
        }
        assert!(!parse("/out/w.wim").is_medium_key("/out/w.wim"));
        assert!(parse("s3://media").volumes_begin_with().is_err());
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        let refused = |text| ObjectUrl::parse(text).unwrap_err();
        assert!(matches!(refused("abfss://c@account/k"), UrlError::Scheme { .. }));
        assert!(matches!(refused("ftp://b"), UrlError::Scheme { .. }));
        assert_eq!(refused(""), UrlError::Empty);
        assert!(matches!(refused("s3:///k"), UrlError::Bucket { .. }));
        assert!(matches!(refused("s3://b/a//c"), UrlError::Path { .. }));
        assert!(matches!(refused("s3://b/../c"), UrlError::Path { .. }));
        let secret = refused("s3://key:hunter2@b/c");
        assert!(!format!("{secret} {secret:?}").contains("hunter2"));
    }
}
