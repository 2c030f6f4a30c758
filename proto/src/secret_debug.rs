//! Messages that hold secrets show the rest of themselves.

use std::fmt;

use crate::v1::{CreateEnrolmentResponse, EnrolRequest, SecretValue, StoreAccess};

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretValue").field("name", &self.name).finish_non_exhaustive()
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
                StoreAccess { secret_key: hunter(), session_token: hunter(), ..Default::default() }
            ),
        ];
        assert!(shown.iter().all(|shown| !shown.contains("hunter2")), "{shown:?}");
    }
}
