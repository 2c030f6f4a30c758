//! The token of an open composition, which other processes send: what is accepted names an output
//! with a name of its own.

use prestage_store::UploadToken;

pub(super) fn check(input: &[u8]) {
    let token = UploadToken::from(String::from_utf8_lossy(input).into_owned());
    match token.output() {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(output) => assert_eq!(token.output().ok(), Some(output)),
    }
}
