//! Messages that hold secrets show the rest of themselves.

use std::fmt;

use crate::v1::{
    CreateEnrolmentResponse, EnrolRequest, InlineFile, PlanMediaRequest, SecretValue, StoreAccess,
};

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretValue").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for PlanMediaRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The spec may give variables' values in clear.
        let mut shown = f.debug_struct("PlanMediaRequest");
        shown.field("site", &self.site).field("secrets", &self.secrets);
        shown.field("output", &self.output).finish_non_exhaustive()
    }
}

impl fmt::Debug for InlineFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One of them is Variables.dat, which opens with a well-known key if there is no password.
        let mut shown = f.debug_struct("InlineFile");
        shown.field("path", &self.path).field("bytes", &self.content.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for EnrolRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrolRequest").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for CreateEnrolmentResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("CreateEnrolmentResponse");
        shown.field("expires", &self.expires).finish_non_exhaustive()
    }
}

impl fmt::Debug for StoreAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreAccess").field("until", &self.until).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_shown() {
        let hunter = || "hunter2".to_owned();
        let shown = [
            format!("{:?}", SecretValue { name: "n".into(), value: "hunter2".into() }),
            format!("{:?}", EnrolRequest { token: hunter(), ..Default::default() }),
            format!("{:?}", CreateEnrolmentResponse { token: hunter(), expires: None }),
            format!(
                "{:?}",
                StoreAccess {
                    secret_key: hunter(),
                    session_token: hunter(),
                    access_token: hunter(),
                    signatures: [("packs/x".to_owned(), hunter())].into(),
                    ..Default::default()
                }
            ),
        ];
        assert!(shown.iter().all(|shown| !shown.contains("hunter2")), "{shown:?}");
        let spec_json: &[u8] = b"hunter2";
        let plan = PlanMediaRequest { spec_json: spec_json.into(), ..Default::default() };
        let file = InlineFile { content: spec_json.into(), ..Default::default() };
        let shown = format!("{plan:?} {file:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("104, 117, 110"), "{shown}");
    }
}
