//! Which files leave the boot image so that the applied volume starts Windows PE.
//!
//! All of them are inside the WIM's own boot image, so neither the ADK nor a Windows machine is
//! needed. (Reference: boot files; UEFI manager, `boot.sdi` and template stores confirmed by three
//! sources, fonts and `boot.stl` by one, the PCAT manager general knowledge.)
//!
//! Paths use `/` and have no leading one. Windows' names are case-insensitive: look the sources up
//! without regard to case.

use serde::{Deserialize, Serialize};

use crate::bcd::Firmware;

/// The architecture of a boot image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// 64-bit: starts x64 and x86 images.
    X64,
    /// 32-bit: starts x86 images only.
    X86,
}

impl Architecture {
    /// From `SMS_BootImagePackage.Architecture` or a WIM's `<ARCH>`: 9 is x64, 0 is x86.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            9 => Some(Self::X64),
            0 => Some(Self::X86),
            _ => None,
        }
    }
}

/// One file to take out of the boot image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootFile {
    /// Where copies of it go in the volume.
    pub targets: &'static [&'static str],
    /// Where it may be in the boot image; the first that exists is taken.
    pub sources: &'static [&'static str],
    /// Without it the medium does not start, so the build must be refused.
    pub required: bool,
}

/// A file that is made, not taken: a boot store of [`crate::bcd::store`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GeneratedStore {
    /// Where it goes in the volume.
    pub target: &'static str,
    /// For which firmware.
    pub firmware: Firmware,
}

/// The boot stores of every medium. They never come from the boot image's templates: those name
/// other devices.
pub const GENERATED_STORES: [GeneratedStore; 2] = [
    GeneratedStore { target: "boot/BCD", firmware: Firmware::Bios },
    GeneratedStore { target: "EFI/Microsoft/Boot/BCD", firmware: Firmware::Uefi },
];

// The manager signed with the 2023 certificate comes second: firmware without that certificate
// refuses it, while firmware that has revoked the older one gets it through servicing, which
// replaces the file at the first path.
const X64_EFI_MANAGER: BootFile = BootFile {
    targets: &["EFI/Boot/bootx64.efi", "EFI/Microsoft/Boot/bootmgfw.efi"],
    sources: &["Windows/Boot/EFI/bootmgfw.efi", "Windows/Boot/EFI_EX/bootmgfw_EX.efi"],
    required: true,
};

// Few computers have 32-bit UEFI, so its absence does not stop a BIOS medium.
const X86_EFI_MANAGER: BootFile = BootFile {
    targets: &["EFI/Boot/bootia32.efi", "EFI/Microsoft/Boot/bootmgfw.efi"],
    sources: &["Windows/Boot/EFI/bootmgfw.efi", "Windows/Boot/EFI_EX/bootmgfw_EX.efi"],
    required: false,
};

// `PXE/bootmgr.exe` is no candidate: it is the network form and does not start from a disk.
const fn bios_manager(required: bool) -> BootFile {
    BootFile { targets: &["bootmgr"], sources: &["Windows/Boot/PCAT/bootmgr"], required }
}

const COMMON: [BootFile; 8] = [
    BootFile {
        targets: &["boot/boot.sdi"],
        // The first is what the site puts into every Configuration Manager boot image.
        sources: &[
            "sms/boot/boot.sdi",
            "Windows/Boot/DVD/EFI/boot.sdi",
            "Windows/Boot/DVD/PCAT/boot.sdi",
        ],
        required: true,
    },
    optional(&["EFI/Microsoft/Boot/boot.stl"], &["Windows/Boot/EFI/boot.stl"]),
    optional(&["EFI/Microsoft/Boot/memtest.efi"], &["Windows/Boot/EFI/memtest.efi"]),
    optional(&["boot/memtest.exe"], &["Windows/Boot/PCAT/memtest.exe"]),
    optional(
        &["boot/fonts/segmono_boot.ttf", "EFI/Microsoft/Boot/Fonts/segmono_boot.ttf"],
        &["Windows/Boot/Fonts/segmono_boot.ttf"],
    ),
    optional(
        &["boot/fonts/segoen_slboot.ttf", "EFI/Microsoft/Boot/Fonts/segoen_slboot.ttf"],
        &["Windows/Boot/Fonts/segoen_slboot.ttf", "Windows/Boot/Fonts/segoen_sl_boot.ttf"],
    ),
    optional(
        &["boot/fonts/segoe_slboot.ttf", "EFI/Microsoft/Boot/Fonts/segoe_slboot.ttf"],
        &["Windows/Boot/Fonts/segoe_slboot.ttf", "Windows/Boot/Fonts/segoe_sl_boot.ttf"],
    ),
    optional(
        &["boot/fonts/wgl4_boot.ttf", "EFI/Microsoft/Boot/Fonts/wgl4_boot.ttf"],
        &["Windows/Boot/Fonts/wgl4_boot.ttf"],
    ),
];

const fn optional(targets: &'static [&'static str], sources: &'static [&'static str]) -> BootFile {
    BootFile { targets, sources, required: false }
}

/// The files to take out of a boot image of this architecture.
///
/// x64 needs its UEFI manager (every x64 computer that is sold starts with it; without PCAT the
/// medium is UEFI-only); x86 needs its BIOS manager.
#[must_use]
pub fn boot_files(architecture: Architecture) -> Vec<BootFile> {
    let managers = match architecture {
        Architecture::X64 => [X64_EFI_MANAGER, bios_manager(false)],
        Architecture::X86 => [X86_EFI_MANAGER, bios_manager(true)],
    };
    managers.into_iter().chain(COMMON).collect()
}

/// Those of [`boot_files`] without which the medium does not start and which the boot image lacks;
/// `has` tells whether there is a file at a path.
pub fn missing_boot_files(
    architecture: Architecture,
    mut has: impl FnMut(&str) -> bool,
) -> Vec<BootFile> {
    let mut files = boot_files(architecture);
    files.retain(|file| file.required && !file.sources.iter().any(|source| has(source)));
    files
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn targets(architecture: Architecture) -> Vec<&'static str> {
        boot_files(architecture).iter().flat_map(|file| file.targets).copied().collect()
    }

    #[test]
    fn no_two_files_share_a_place_even_without_regard_to_case() {
        for architecture in [Architecture::X64, Architecture::X86] {
            let all: Vec<_> = targets(architecture)
                .into_iter()
                .chain(GENERATED_STORES.iter().map(|store| store.target))
                .map(str::to_ascii_lowercase)
                .collect();
            assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        }
    }

    #[test]
    fn each_architecture_gets_its_own_removable_boot_path() {
        assert!(targets(Architecture::X64).contains(&"EFI/Boot/bootx64.efi"));
        assert!(!targets(Architecture::X64).contains(&"EFI/Boot/bootia32.efi"));
        assert!(targets(Architecture::X86).contains(&"EFI/Boot/bootia32.efi"));
    }

    #[test]
    fn what_must_be_there_is_the_manager_and_the_sdi() {
        let required = |architecture| -> Vec<_> {
            let files = boot_files(architecture);
            files.iter().filter(|file| file.required).map(|file| file.targets[0]).collect()
        };
        assert_eq!(required(Architecture::X64), ["EFI/Boot/bootx64.efi", "boot/boot.sdi"]);
        assert_eq!(required(Architecture::X86), ["bootmgr", "boot/boot.sdi"]);
    }

    #[test]
    fn the_boot_image_of_the_site_is_asked_first_for_the_sdi() {
        let files = boot_files(Architecture::X64);
        let sdi = files.iter().find(|file| file.targets == ["boot/boot.sdi"]).unwrap();
        assert_eq!(sdi.sources[0], "sms/boot/boot.sdi");
    }

    #[test]
    fn architecture_numbers_are_those_of_the_provider() {
        assert_eq!(Architecture::from_number(9), Some(Architecture::X64));
        assert_eq!(Architecture::from_number(0), Some(Architecture::X86));
        assert_eq!(Architecture::from_number(12), None);
    }
}
