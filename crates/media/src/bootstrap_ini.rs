//! `TsmBootstrap.ini`: what Windows PE needs to know before it can open `Variables.dat`.
//!
//! `[MediaInfo]` with `MediaType`, `PasswordRequired` and `Unattended` is confirmed by two
//! independent readers; plain ASCII with CRLF, as Windows' own INI functions write it. Other keys
//! are not known. (Reference: TsmBootstrap.ini.)

use crate::unverified::BOOTSTRAP_MEDIA_TYPE;

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bootstrap {
    /// The variables have a password of the administrator's; Windows PE asks for it. With `false`
    /// it uses the documented default.
    pub password_required: bool,
    /// No page for network settings, no choice of optional task sequences. A media password is
    /// still asked for.
    pub unattended: bool,
}

impl Bootstrap {
    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        format!(
            "[MediaInfo]\r\nMediaType={BOOTSTRAP_MEDIA_TYPE}\r\nPasswordRequired={}\r\nUnattended={}\r\n",
            self.password_required, self.unattended
        )
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_ascii_with_windows_line_ends() {
        let bytes = Bootstrap { password_required: true, unattended: false }.to_bytes();
        assert_eq!(
            bytes,
            b"[MediaInfo]\r\nMediaType=OEMMedia\r\nPasswordRequired=true\r\nUnattended=false\r\n"
        );
        let other = Bootstrap { password_required: false, unattended: true }.to_bytes();
        assert!(other.ends_with(b"PasswordRequired=false\r\nUnattended=true\r\n"));
    }
}
