//! Whether a medium can be written where it is asked for, before any work is done for it.

use prestage_store::{ObjectUrl, location::UrlError};

/// Why an output can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The address is wrong.
    #[error("the output can't be used: {0}")]
    Url(#[from] UrlError),
    /// A folder is there.
    #[error("the output {0} is a folder: name a file in it, as {0}/medium.wim")]
    Folder(ObjectUrl),
}

/// Checks the address, and that no folder has its name.
pub fn check_output(output: &str) -> Result<ObjectUrl, OutputError> {
    let url = ObjectUrl::parse(output)?;
    url.name()?;
    if let ObjectUrl::Local(path) = &url
        && path.is_dir()
    {
        return Err(OutputError::Folder(url));
    }
    Ok(url)
}

/// Where a medium appears that is asked for at `output`: a split one, as its first volume.
pub fn medium_output(output: String, split_mib: Option<u32>) -> Result<String, OutputError> {
    let url = check_output(&output)?;
    if split_mib.is_none() {
        return Ok(output);
    }
    let first = url.volume(1)?.to_string();
    check_output(&first)?;
    Ok(first)
}
