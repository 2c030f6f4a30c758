//! How large a sample is, and what came of it.

use std::path::PathBuf;

use prestage_media::Secret;

use crate::SampleError;

/// What to write. The defaults make a site of under 60 MB in seconds; measurements ask for more.
///
/// The content depends on `seed` and the sizes alone; the dates in the export and the spec also on
/// the clock; only the media password is random.
#[derive(Clone, Debug)]
pub struct SampleOptions {
    /// Everything generated comes from it.
    pub seed: u64,
    /// Files of the Windows tree of each OS image, besides a few dozen fixed ones; at least 100.
    pub os_files: usize,
    /// Their bytes before compression. Compressed they are about 40 % of it.
    pub os_bytes: u64,
    /// Bytes of the stand-in for a file of over 4 GiB: nearly all zeros, so hardly anything when
    /// compressed. At least 1 MiB; over 4 GiB makes it a real one.
    pub large_file_bytes: u64,
    /// Files of the driver package, at least 16.
    pub driver_files: usize,
    /// Their bytes.
    pub driver_bytes: u64,
    /// Bytes of the package payload that is compressed already.
    pub payload_bytes: u64,
    /// Bytes of the installer of each application.
    pub application_bytes: u64,
    /// Threads that compress; 0 for all that the machine has. The bytes do not depend on it.
    pub threads: usize,
    /// The media password; `None` draws one from the operating system's random numbers.
    pub password: Option<Secret>,
}

impl Default for SampleOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            os_files: 420,
            os_bytes: 28 << 20,
            large_file_bytes: 24 << 20,
            driver_files: 640,
            driver_bytes: 5 << 20,
            payload_bytes: 3 << 20,
            application_bytes: 1 << 20,
            threads: 0,
            password: None,
        }
    }
}

impl SampleOptions {
    pub(crate) fn check(&self) -> Result<(), SampleError> {
        let least = |option, value: u64, least: u64, expected| match value < least {
            true => Err(SampleError::Option { option, value, expected }),
            false => Ok(()),
        };
        least("os_files", self.os_files as u64, 100, "at least 100")?;
        least("os_bytes", self.os_bytes, 1 << 20, "at least 1048576")?;
        let large = self.large_file_bytes;
        least("large_file_bytes", large, 1 << 20, "at least 1048576")?;
        least("driver_files", self.driver_files as u64, 16, "at least 16")?;
        least("driver_bytes", self.driver_bytes, 1 << 16, "at least 65536")?;
        least("payload_bytes", self.payload_bytes, 1, "at least 1")?;
        least("application_bytes", self.application_bytes, 1, "at least 1")
    }
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleSummary {
    /// The folder.
    pub folder: PathBuf,
    /// The spec that has everything.
    pub spec: PathBuf,
    /// The shortest spec that builds.
    pub minimal_spec: PathBuf,
    /// The password of the first spec, for this account's eyes only.
    pub password_file: PathBuf,
    /// Content versions in the site.
    pub contents: usize,
    /// Their files.
    pub content_files: u64,
    /// Their bytes; each content once, however many distribution points hold it.
    pub content_bytes: u64,
    /// Bytes of the OS image's WIM.
    pub os_image_bytes: u64,
    /// Bytes of the boot image's WIM.
    pub boot_image_bytes: u64,
}
