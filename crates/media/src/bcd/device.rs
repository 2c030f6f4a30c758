//! The bytes of device elements (reference: device element bytes, checked against dumped stores).

/// `{ae5534e0-a924-466c-b836-758539a3ee3a}`, the RAM disk options, in the byte order of a stored
/// GUID.
pub const RAMDISK_OPTIONS_GUID: [u8; 16] = [
    0xE0, 0x34, 0x55, 0xAE, 0x24, 0xA9, 0x6C, 0x46, 0xB8, 0x36, 0x75, 0x85, 0x39, 0xA3, 0xEE, 0x3A,
];

/// A plain device block without the options GUID in front, in bytes.
const PLAIN_BYTES: u32 = 0x48;
const TYPE_RAMDISK: u32 = 3;
const TYPE_BOOT: u32 = 5;

/// "The volume that the boot manager came from" (0x58 bytes). It names no disk, so the same bytes
/// are right on every machine.
#[must_use]
pub fn boot() -> Vec<u8> {
    let mut bytes = vec![0; 16];
    bytes.extend(boot_block());
    bytes
}

/// A RAM disk filled from `path` (backslashes, from the root of the volume) on the boot volume:
/// 0x8C bytes and the path in UTF-16LE with its NUL. `options` is the object with its SDI, in
/// stored byte order.
#[must_use]
pub fn ramdisk(options: &[u8; 16], path: &str) -> Vec<u8> {
    let path: Vec<u8> = path.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    let total = 0x8C + u32::try_from(path.len()).unwrap_or(u32::MAX - 0x8C);
    let mut bytes = options.to_vec();
    push(&mut bytes, &[0, 1, total - 0x10, 0]);
    // The RAM disk: base, size and offset are left to the loader.
    push(&mut bytes, &[TYPE_RAMDISK, 0, 0, 0, 0, 0]);
    // The file it is filled from, on a device of its own.
    push(&mut bytes, &[1, total - 0x38, TYPE_BOOT]);
    bytes.extend(boot_block());
    bytes.extend(path);
    bytes
}

fn boot_block() -> Vec<u8> {
    let mut bytes = Vec::new();
    push(&mut bytes, &[TYPE_BOOT, 0, PLAIN_BYTES, 0]);
    bytes.resize(PLAIN_BYTES as usize, 0);
    bytes
}

fn push(bytes: &mut Vec<u8>, fields: &[u32]) {
    bytes.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_device_is_that_of_the_dump() {
        let expected = format!(
            "{}{}{}",
            "00".repeat(0x10),
            "05000000000000004800000000000000",
            "00".repeat(0x38)
        );
        assert_eq!(hex::encode(boot()), expected);
    }

    #[test]
    fn the_ramdisk_has_the_lengths_of_the_reference() {
        let bytes = ramdisk(&RAMDISK_OPTIONS_GUID, r"\sources\boot.wim");
        let field = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!(bytes.len(), 0xB0);
        assert_eq!((field(0x10), field(0x14), field(0x18), field(0x1C)), (0, 1, 0xA0, 0));
        assert_eq!(field(0x20), 3);
        assert!(bytes[0x24..0x38].iter().all(|byte| *byte == 0));
        assert_eq!((field(0x38), field(0x3C), field(0x40)), (1, 0x78, 5));
        assert_eq!(bytes[0x44..0x8C], boot()[0x10..]);
        let path: Vec<u8> =
            "\\sources\\boot.wim\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(bytes[0x8C..], path);
    }

    #[test]
    fn the_dumped_sample_has_these_lengths_too() {
        // 0x28A bytes in all: a path of 0x1FE bytes, that is, 254 characters and the NUL.
        let bytes = ramdisk(&RAMDISK_OPTIONS_GUID, &"x".repeat(254));
        let field = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!((bytes.len(), field(0x18), field(0x3C)), (0x28A, 0x27A, 0x252));
    }

    #[test]
    fn the_guid_is_in_stored_order() {
        let text: uuid::Uuid = "ae5534e0-a924-466c-b836-758539a3ee3a".parse().unwrap();
        assert_eq!(text.to_bytes_le(), RAMDISK_OPTIONS_GUID);
    }
}
