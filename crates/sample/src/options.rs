//! How large a sample is, and what came of it.

use std::path::PathBuf;

use prestage_media::Secret;

use crate::{SampleError, identity::SOFTWARE};

/// What to write. The defaults make a site of under 60 MB in seconds; measurements ask for more.
///
/// The content depends on `seed` and the sizes alone; the dates in the export and the spec also on
/// the clock; only the media password is random.
#[derive(Clone)]
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
    /// Packages of software beside those that every sample has; at most 16.
    pub packages: usize,
    /// Bytes of each of them.
    pub package_bytes: u64,
    /// How much of that software is compressed already, in percent.
    pub packed_percent: u64,
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
            packages: 0,
            package_bytes: 1 << 20,
            packed_percent: 50,
            threads: 0,
            password: None,
        }
    }
}

/// What the content of a sample for measurements is mostly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// An OS image with 60 % of the bytes, then drivers and twelve packages and applications of
    /// equal size, each a twentieth of what is not the OS image.
    Whole,
    /// The same without more of an OS image than any sample has.
    Software,
    /// Installers: compressed already but for a tenth.
    Packed,
}

impl SampleOptions {
    /// A sample of about `mib` MiB, 60 or more.
    pub fn measuring(mib: u64, shape: Shape) -> Self {
        let small = Self::default();
        let all = (mib << 20).saturating_sub(small.large_file_bytes).max(1 << 20);
        let os = match shape {
            Shape::Whole => all * 60 / 100,
            Shape::Software | Shape::Packed => small.os_bytes.min(all / 4),
        };
        let share = (all - os) / 20;
        let drivers = if shape == Shape::Packed { share } else { 4 * share };
        Self {
            os_files: ((os >> 20) * 13).clamp(420, 200_000) as usize,
            os_bytes: os,
            driver_files: ((drivers >> 20) * 20).clamp(640, 100_000) as usize,
            driver_bytes: drivers,
            payload_bytes: share,
            application_bytes: share,
            packages: if shape == Shape::Packed { 15 } else { 12 },
            package_bytes: share,
            packed_percent: if shape == Shape::Packed { 100 } else { 50 },
            ..small
        }
    }

    pub(crate) fn check(&self) -> Result<(), SampleError> {
        let least = |option, value: u64, least: u64, expected| match value < least {
            true => Err(SampleError::Option { option, value, expected }),
            false => Ok(()),
        };
        least("os_files", self.os_files as u64, 100, "at least 100")?;
        least("os_bytes", self.os_bytes, 1 << 20, "at least 1048576")?;
        let large = self.large_file_bytes;
        least("large_file_bytes", large, 1 << 20, "at least 1048576")?;
        if self.packages > SOFTWARE.len() {
            let (option, value) = ("packages", self.packages as u64);
            return Err(SampleError::Option { option, value, expected: "at most 16" });
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_for_measurements_has_its_size_and_shares() {
        let all = |options: &SampleOptions| {
            let software = options.package_bytes * options.packages as u64;
            let fixed = options.payload_bytes + 3 * options.application_bytes + software;
            options.os_bytes + options.large_file_bytes + options.driver_bytes + fixed
        };
        for shape in [Shape::Whole, Shape::Software, Shape::Packed] {
            let options = SampleOptions::measuring(3000, shape);
            options.check().unwrap();
            assert_eq!(all(&options).div_ceil(1 << 20), 3000);
        }
        let whole = SampleOptions::measuring(3000, Shape::Whole);
        assert!((59..=60).contains(&(whole.os_bytes * 100 / all(&whole))));
        let encoded = all(&whole) - whole.os_bytes - whole.large_file_bytes;
        assert_eq!(encoded / whole.application_bytes, 20);
    }
}
