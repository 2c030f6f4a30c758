//! The virtual folder of a distribution point that lets us read (reference: section 4.3).

use http::StatusCode;
use url::Url;

use super::web_folders::{WebFolders, below};
use crate::content_library::LibraryError;

/// For Windows accounts or anybody, for those without a client certificate, for tokens.
const VIRTUAL_FOLDERS: [&str; 3] =
    ["SMS_DP_SMSPKG$", "NOCERT_SMS_DP_SMSPKG$", "CCMTOKENAUTH_SMS_DP_SMSPKG$"];

/// Whether an address ends in a virtual folder; one that goes on is of something in it.
pub(super) fn is_virtual_folder(url: &Url) -> bool {
    let last = url.path_segments().and_then(|mut names| names.rfind(|name| !name.is_empty()));
    let last = last.map(|name| name.to_ascii_uppercase().replace("%24", "$"));
    last.is_some_and(|name| VIRTUAL_FOLDERS.contains(&name.as_str()))
}

/// The virtual folder to read from at `base`. One that refuses us is passed over; what is not there at
/// all comes out as the first, so that messages name the ordinary one.
pub(super) async fn find(web: &WebFolders, base: &Url) -> Result<Url, LibraryError> {
    if is_virtual_folder(base) {
        return Ok(base.clone());
    }
    let first = below(base, VIRTUAL_FOLDERS[..1].iter().copied());
    for name in VIRTUAL_FOLDERS {
        let folder = below(base, [name]);
        let asked = web.status(&below(&folder, ["DataLib", ""])).await;
        let lets_us_in = match asked.map_err(|error| LibraryError::Remote {
            address: base.to_string(),
            problem: error.to_string(),
        })? {
            None | Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => false,
            // The others are on a distribution point only if they show something.
            Some(StatusCode::NOT_FOUND) => folder == first,
            Some(_) => true,
        };
        if lets_us_in {
            return Ok(folder);
        }
    }
    Ok(first)
}
