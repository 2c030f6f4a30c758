//! The boot stores: BCD, a registry hive with one key for each boot object.
//!
//! [`store`] makes what starts Windows PE from `\sources\boot.wim` on the volume that the boot
//! manager was loaded from. On disks where the EFI system partition is another volume, the store on
//! *that* partition has to name the OS partition instead; the target's own tools (or the task
//! sequence) do that, because only they know the partition's GUIDs.
//!
//! | fact | how sure |
//! |---|---|
//! | key and value layout, object types, element numbers | confirmed by three public stores |
//! | device bytes, plain and RAM disk | checked against dumped stores ([`device`]) |
//! | the set of objects and elements | the minimum that known tools use |
//! | the loader's identifier | [`crate::unverified::BOOT_LOADER_OBJECT`] |
//!
//! (Reference: BCD and boot files.)

pub mod device;
pub mod hive;
mod object;

use crate::unverified::BOOT_LOADER_OBJECT;
use hive::{Key, Value};
use object::Object;

/// Which firmware a store is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Firmware {
    /// PC BIOS: `\boot\BCD`.
    Bios,
    /// UEFI: `\EFI\Microsoft\Boot\BCD`.
    Uefi,
}

impl Firmware {
    const fn loader_path(self) -> &'static str {
        match self {
            Self::Bios => r"\windows\system32\boot\winload.exe",
            Self::Uefi => r"\windows\system32\boot\winload.efi",
        }
    }
}

const BOOT_MANAGER: &str = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}";
const RAMDISK_OPTIONS: &str = "{ae5534e0-a924-466c-b836-758539a3ee3a}";
const GLOBAL_SETTINGS: &str = "{7ea2e1ac-2e61-4728-aaa3-896d9d0a9f0e}";
const LOADER_SETTINGS: &str = "{6efb52bf-1766-41db-a6b3-0ee5eff72bd7}";

const BOOT_IMAGE: &str = r"\sources\boot.wim";
const BOOT_SDI: &str = r"\boot\boot.sdi";
const LOCALE: &str = "en-US";

/// The boot store for this firmware, as the bytes of its file. `modified` (a FILETIME: 100 ns since
/// 1601) stamps every key; the same arguments give the same bytes.
#[must_use]
pub fn store(firmware: Firmware, modified: u64) -> Vec<u8> {
    let description = Key::new("Description")
        .with_value(Value::text("KeyName", "BCD00000001"))
        .with_value(Value::number("TreatAsSystem", 1));
    let objects = objects(firmware)
        .into_iter()
        .fold(Key::new("Objects"), |key, object| key.with_key(object.into_key()));
    let root = Key::new("NewStoreRoot").with_key(description).with_key(objects);
    hive::write(&root, modified)
}

fn objects(firmware: Firmware) -> Vec<Object> {
    vec![
        Object::new(BOOT_MANAGER, 0x1010_0002)
            .device(0x1100_0001, device::boot())
            .text(0x1200_0004, "Windows Boot Manager")
            .text(0x1200_0005, LOCALE)
            .object_list(0x1400_0006, &[GLOBAL_SETTINGS])
            .object(0x2300_0003, BOOT_LOADER_OBJECT)
            .object_list(0x2400_0001, &[BOOT_LOADER_OBJECT])
            // One entry, so there is nothing to wait for.
            .integer(0x2500_0004, 0),
        loader(firmware),
        Object::new(RAMDISK_OPTIONS, 0x3000_0000)
            .device(0x3100_0003, device::boot())
            .text(0x3200_0004, BOOT_SDI),
        // What the other two inherit from must exist, even with nothing to say.
        Object::new(GLOBAL_SETTINGS, 0x2010_0000),
        Object::new(LOADER_SETTINGS, 0x2020_0003).object_list(0x1400_0006, &[GLOBAL_SETTINGS]),
    ]
}

fn loader(firmware: Firmware) -> Object {
    let ramdisk = device::ramdisk(&device::RAMDISK_OPTIONS_GUID, BOOT_IMAGE);
    Object::new(BOOT_LOADER_OBJECT, 0x1020_0003)
        .device(0x1100_0001, ramdisk.clone())
        .text(0x1200_0002, firmware.loader_path())
        .text(0x1200_0004, "Windows PE")
        .text(0x1200_0005, LOCALE)
        .object_list(0x1400_0006, &[LOADER_SETTINGS])
        .device(0x2100_0001, ramdisk)
        .text(0x2200_0002, r"\windows")
        // Data execution prevention: opt in.
        .integer(0x2500_0020, 0)
        .boolean(0x2600_0010, true)
        .boolean(0x2600_0022, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_arguments_give_the_same_bytes() {
        let make = || store(Firmware::Uefi, 133_000_000_000_000_000);
        assert_eq!(make(), make());
        assert_ne!(make(), store(Firmware::Uefi, 0));
        assert_ne!(store(Firmware::Bios, 0), store(Firmware::Uefi, 0));
    }
}
