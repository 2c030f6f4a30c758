//! Where Azure's blobs are.

use http::Uri;
use object_store::path::Path as StorePath;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::location::UrlError;

/// An Azure storage account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AzureAccount {
    /// Its name, which goes into signatures.
    pub name: String,
    /// Address of its blob service, without a slash at the end.
    pub service: String,
}

impl AzureAccount {
    /// The address of a blob.
    pub fn blob_url(&self, container: &str, path: &StorePath) -> Result<Url, UrlError> {
        let bad = || UrlError::Path { url: self.service.clone() };
        let mut url = Url::parse(&self.service).map_err(|_| bad())?;
        let mut names = url.path_segments_mut().map_err(|()| bad())?;
        names.pop_if_empty().push(container);
        names.extend(path.parts().map(|part| part.as_ref().to_owned()));
        drop(names);
        Ok(url)
    }

    /// The blob that a request is for: its container and name, with a slash between them.
    pub fn blob_at(&self, uri: &Uri) -> String {
        let service = Url::parse(&self.service);
        let service = service.as_ref().map_or("", Url::path).trim_end_matches('/');
        let path = uri.path().strip_prefix(service).unwrap_or_default();
        percent_decode_str(path.trim_start_matches('/')).decode_utf8_lossy().into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_tells_its_blob() {
        let account = |service: &str| AzureAccount { name: "acme".into(), service: service.into() };
        for service in ["https://acme.blob.core.windows.net", "http://127.0.0.1:1/acme"] {
            let account = account(service);
            let path = StorePath::parse("a b/w+#%41.wim").unwrap();
            let url = account.blob_url("media", &path).unwrap();
            let uri = format!("{url}?comp=block").parse().unwrap();
            assert_eq!(account.blob_at(&uri), "media/a b/w+#%41.wim");
        }
        let elsewhere = "http://127.0.0.1:1/other/media/x".parse().unwrap();
        assert_eq!(account("http://127.0.0.1:1/acme").blob_at(&elsewhere), "");
    }
}
