//! Text like Windows': setup information, manifests, logs, and words of people.

use crate::random::Random;

/// Bytes of text between two changes of kind.
const STRETCH_BYTES: usize = 16 << 10;

const WORDS: [&str; 96] = [
    "the",
    "service",
    "driver",
    "value",
    "device",
    "policy",
    "update",
    "section",
    "install",
    "of",
    "computer",
    "language",
    "component",
    "version",
    "manifest",
    "provider",
    "setting",
    "is",
    "not",
    "network",
    "storage",
    "key",
    "registry",
    "a",
    "to",
    "and",
    "in",
    "for",
    "that",
    "this",
    "with",
    "be",
    "can",
    "are",
    "on",
    "you",
    "when",
    "if",
    "it",
    "file",
    "system",
    "user",
    "must",
    "by",
    "from",
    "as",
    "or",
    "which",
    "will",
    "an",
    "one",
    "other",
    "software",
    "licence",
    "may",
    "use",
    "agreement",
    "any",
    "your",
    "rights",
    "product",
    "features",
    "information",
    "data",
    "access",
    "account",
    "administrator",
    "password",
    "remote",
    "connection",
    "server",
    "client",
    "protocol",
    "address",
    "packet",
    "controller",
    "adapter",
    "interface",
    "port",
    "bus",
    "host",
    "memory",
    "processor",
    "power",
    "management",
    "firmware",
    "table",
    "enabled",
    "disabled",
    "default",
    "required",
    "optional",
    "supported",
    "unknown",
    "failed",
    "completed",
];

/// One stretch of one kind of text.
pub(crate) fn write(random: &mut Random, out: &mut Vec<u8>) {
    let end = out.len() + STRETCH_BYTES;
    let line = match random.below(4) {
        0 => setup_information,
        1 => manifest,
        2 => log,
        _ => words,
    };
    while out.len() < end {
        line(random, out);
    }
    out.truncate(end);
}

fn word(random: &mut Random) -> &'static str {
    // The product of two numbers below 1 leans to 0: few words are most of a text.
    let place = (random.below(1 << 16) * random.below(1 << 16)) >> 16;
    WORDS[(place as usize * WORDS.len()) >> 16]
}

fn setup_information(random: &mut Random, out: &mut Vec<u8>) {
    let number = random.next();
    let text = match number & 7 {
        0 => format!("\r\n[{}_{}.{:04X}]\r\n", word(random), word(random), number >> 48),
        1..=3 => format!(
            "%{}.DeviceDesc% = {}_Install, PCI\\VEN_{:04X}&DEV_{:04X}&SUBSYS_{:08X}\r\n",
            word(random),
            word(random),
            0x8086 + (number >> 8 & 3),
            number >> 48,
            number >> 16 & 0xff_ffff
        ),
        4 | 5 => format!(
            "HKR, {}\\{}, {}, 0x00010001, {}\r\n",
            word(random),
            word(random),
            word(random),
            number >> 56
        ),
        6 => format!(
            "CopyFiles = {}.CopyList, @{}{:03}.sys\r\n",
            word(random),
            word(random),
            number >> 54
        ),
        _ => format!("; {} {} {}\r\n", word(random), word(random), word(random)),
    };
    out.extend_from_slice(text.as_bytes());
}

fn manifest(random: &mut Random, out: &mut Vec<u8>) {
    let (hash, version) = (random.next(), random.below(5000));
    let text = format!(
        "  <file name=\"{}{}.dll\" destinationPath=\"$(runtime.system32)\\{}\" importPath=\"$(build.nttree)\\\">\r\n    \
         <assemblyIdentity name=\"Microsoft-Windows-{}-{}\" version=\"10.0.26100.{version}\" processorArchitecture=\"amd64\" \
         language=\"neutral\" buildType=\"release\" publicKeyToken=\"31bf3856ad364e35\" versionScope=\"nonSxS\" />\r\n    \
         <dsig:DigestValue>{hash:016x}{:016x}</dsig:DigestValue>\r\n  </file>\r\n",
        word(random),
        word(random),
        word(random),
        word(random),
        word(random),
        random.next()
    );
    out.extend_from_slice(text.as_bytes());
}

fn log(random: &mut Random, out: &mut Vec<u8>) {
    let number = random.next();
    let text = format!(
        "2025-01-{:02} {:02}:{:02}:{:02}.{:03}, Info                  CBS    {} {} {}: 0x{:08x}, {} [{}]\r\n",
        1 + (number & 15),
        number >> 8 & 15,
        number >> 16 & 31,
        number >> 24 & 31,
        (number >> 32) % 1000,
        word(random),
        word(random),
        word(random),
        number >> 44 & 0xfff,
        word(random),
        word(random)
    );
    out.extend_from_slice(text.as_bytes());
}

fn words(random: &mut Random, out: &mut Vec<u8>) {
    for _ in 0..6 + random.below(12) {
        out.extend_from_slice(word(random).as_bytes());
        out.extend_from_slice(if random.below(10) == 0 { b", " } else { b" " });
    }
    out.extend_from_slice(b".\r\n");
}
