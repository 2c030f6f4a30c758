//! Bytes like a 64-bit Windows program's: code, read-only data, tables and resources.
//!
//! Compressors live on what repeats at a distance with small changes, so noise and copies alone would
//! measure nothing: instructions come from idioms that all programs share, with registers, stack
//! offsets and addresses of their own; calls and data references are relative to where they stand.
//! Against libraries of a real system, each level of LZX and XPRESS saves and costs about the same
//! (`docs/benchmarks.md`).

use crate::random::Random;

/// Bytes of one stretch of the same kind.
const STRETCH_BYTES: usize = 16 << 10;
/// Idioms that all programs choose from.
const IDIOMS: usize = 2048;
/// Functions and variables that one program refers to.
const TARGETS: usize = 2048;

/// What one program is made of, beside its random numbers.
pub(crate) struct Program {
    /// Where its functions and variables are.
    functions: Vec<u32>,
    variables: Vec<u32>,
    /// Its favourite idiom comes first in its own order.
    turn: u64,
    written: u32,
}

impl Program {
    pub(crate) fn new(random: &mut Random) -> Self {
        let mut places = |from: u64, span: u64| {
            (0..TARGETS).map(|_| (from + random.below(span)) as u32 & !3).collect()
        };
        let functions = places(0x1000, 0x8_0000);
        let variables = places(0x9_0000, 0x2_0000);
        Self { functions, variables, turn: random.below(IDIOMS as u64), written: 0 }
    }

    /// The next stretch.
    pub(crate) fn write(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        let end = out.len() + STRETCH_BYTES;
        match random.below(100) {
            0..=57 => self.code(random, out, end),
            58..=73 => strings(random, out, end),
            74..=82 => self.tables(random, out, end),
            83..=92 => resources(random, out, end),
            93..=96 => bitmap(random, out, end),
            _ => out.resize(end, 0),
        }
        out.truncate(end);
        self.written = self.written.wrapping_add(STRETCH_BYTES as u32);
    }

    fn code(&self, random: &mut Random, out: &mut Vec<u8>, end: usize) {
        let start = out.len();
        while out.len() < end {
            let saved = random.below(PROLOGUES.len() as u64) as usize;
            out.extend_from_slice(PROLOGUES[saved].0);
            let room = 0x20 + 0x10 * skewed(random, 12) as u8;
            out.extend_from_slice(&[0x48, 0x83, 0xec, room]);
            for _ in 0..3 + skewed(random, 60) {
                let idiom = (skewed(random, IDIOMS) as u64 + self.turn) % IDIOMS as u64;
                self.idiom(idiom, random, out, start);
            }
            out.extend_from_slice(&[0x48, 0x83, 0xc4, room]);
            out.extend_from_slice(PROLOGUES[saved].1);
            out.resize(out.len().next_multiple_of(16), 0xcc);
        }
    }

    /// A few instructions. Which, and most of their operands, is decided by the idiom's number.
    fn idiom(&self, number: u64, random: &mut Random, out: &mut Vec<u8>, start: usize) {
        let mut fixed = Random::new(number);
        for _ in 0..1 + fixed.below(4) {
            let Instruction(bytes, operand) = &INSTRUCTIONS[skewed(&mut fixed, INSTRUCTIONS.len())];
            out.extend_from_slice(bytes);
            // One operand in five differs from use to use.
            let own = random.below(100) < OWN_OPERANDS;
            let choice = if own { &mut *random } else { &mut fixed };
            let here = self.written.wrapping_add((out.len() - start) as u32 + 4);
            match operand {
                Operand::None => {}
                Operand::Registers => out.push(0xc0 | skewed(choice, 64) as u8),
                Operand::Stack => {
                    out.extend_from_slice(&[0x24, 0x20 + 8 * skewed(choice, 20) as u8])
                }
                Operand::Field => {
                    out.extend_from_slice(&[
                        0x40 | skewed(choice, 64) as u8,
                        8 * skewed(choice, 28) as u8,
                    ]);
                }
                Operand::Jump => out.push(skewed(random, 128) as u8),
                Operand::Number => {
                    out.extend_from_slice(&(skewed(choice, 4096) as u32).to_le_bytes());
                }
                Operand::Call => {
                    let target = self.functions[skewed(random, TARGETS)];
                    out.extend_from_slice(&target.wrapping_sub(here).to_le_bytes());
                }
                Operand::Variable => {
                    let target = self.variables[skewed(random, TARGETS)];
                    out.extend_from_slice(&target.wrapping_sub(here).to_le_bytes());
                }
            }
        }
    }

    /// Unwind tables, relocations, tables of pointers.
    fn tables(&self, random: &mut Random, out: &mut Vec<u8>, end: usize) {
        let kind = random.below(3);
        let mut address = 0x1000 + random.below(0x8_0000) as u32;
        let mut unwind = 0x9_0000_u32;
        while out.len() < end {
            let size = 16 * (1 + skewed(random, 60)) as u32;
            match kind {
                0 => {
                    unwind += 4 * (2 + skewed(random, 6)) as u32;
                    for number in [address, address + size - random.below(16) as u32, unwind] {
                        out.extend_from_slice(&number.to_le_bytes());
                    }
                }
                1 => out.extend_from_slice(&(0xa000 | (address >> 1 & 0xff8) as u16).to_le_bytes()),
                _ => {
                    let target = u64::from(self.functions[skewed(random, TARGETS)]);
                    out.extend_from_slice(&(0x1_8000_0000 + target).to_le_bytes());
                }
            }
            address += size;
        }
    }
}

/// Operands in a hundred that are not the idiom's own.
const OWN_OPERANDS: u64 = 20;

/// Below `limit`, small numbers far more often than large ones.
fn skewed(random: &mut Random, limit: usize) -> usize {
    let share = random.next() >> 48;
    let cube = (share * share * share) >> 32;
    (cube as usize * limit) >> 16
}

/// What follows the bytes of an instruction.
enum Operand {
    None,
    Registers,
    Stack,
    Field,
    Jump,
    Number,
    Call,
    Variable,
}

struct Instruction(&'static [u8], Operand);

const fn op(bytes: &'static [u8], operand: Operand) -> Instruction {
    Instruction(bytes, operand)
}

/// What compilers write most, the most frequent first.
const INSTRUCTIONS: [Instruction; 32] = [
    op(&[0x48, 0x8b], Operand::Registers),
    op(&[0xe8], Operand::Call),
    op(&[0x48, 0x8b], Operand::Field),
    op(&[0x48, 0x89, 0x44], Operand::Stack),
    op(&[0x48, 0x8b, 0x4c], Operand::Stack),
    op(&[0x85, 0xc0, 0x74], Operand::Jump),
    op(&[0x48, 0x8d, 0x0d], Operand::Variable),
    op(&[0x48, 0x8d, 0x54], Operand::Stack),
    op(&[0x48, 0x8b, 0x05], Operand::Variable),
    op(&[0x33, 0xc0], Operand::None),
    op(&[0x48, 0x89], Operand::Field),
    op(&[0x48, 0x85, 0xc9, 0x74], Operand::Jump),
    op(&[0x41, 0xb8], Operand::Number),
    op(&[0xff, 0x15], Operand::Variable),
    op(&[0x0f, 0x1f, 0x44, 0x00, 0x00], Operand::None),
    op(&[0x8b], Operand::Registers),
    op(&[0xeb], Operand::Jump),
    op(&[0x4c, 0x8d, 0x44], Operand::Stack),
    op(&[0x83, 0x7c], Operand::Stack),
    op(&[0x48, 0x83, 0x60], Operand::Jump),
    op(&[0xba], Operand::Number),
    op(&[0x49, 0x8b], Operand::Registers),
    op(&[0x0f, 0xb7], Operand::Registers),
    op(&[0x66, 0x89], Operand::Field),
    op(&[0xf3, 0x0f, 0x10, 0x05], Operand::Variable),
    op(&[0x48, 0x3b], Operand::Registers),
    op(&[0x45, 0x33, 0xc9], Operand::None),
    op(&[0xc7, 0x44], Operand::Stack),
    op(&[0x0f, 0x85], Operand::Number),
    op(&[0x41, 0xff], Operand::Registers),
    op(&[0x48, 0xc1, 0xe8], Operand::Jump),
    op(&[0xf0, 0x0f, 0xc1], Operand::Field),
];

/// Registers saved, and restored.
const PROLOGUES: [(&[u8], &[u8]); 4] = [
    (&[], &[0xc3]),
    (&[0x40, 0x53], &[0x5b, 0xc3]),
    (&[0x48, 0x89, 0x5c, 0x24, 0x08, 0x57], &[0x5f, 0xc3]),
    (
        &[0x48, 0x8b, 0xc4, 0x55, 0x56, 0x41, 0x54, 0x41, 0x56],
        &[0x41, 0x5e, 0x41, 0x5c, 0x5e, 0x5d, 0xc3],
    ),
];

const SYLLABLES: [&str; 64] = [
    "Get",
    "Set",
    "Create",
    "Device",
    "Query",
    "Reg",
    "Open",
    "Key",
    "Service",
    "Close",
    "Handle",
    "File",
    "Path",
    "Name",
    "Init",
    "Security",
    "Token",
    "Process",
    "Thread",
    "Event",
    "Notify",
    "Wait",
    "Object",
    "Buffer",
    "Size",
    "Policy",
    "Cache",
    "Update",
    "Driver",
    "Store",
    "Session",
    "User",
    "Power",
    "State",
    "Class",
    "Factory",
    "Interface",
    "Manager",
    "Provider",
    "Network",
    "Adapter",
    "Address",
    "Port",
    "Stream",
    "Read",
    "Write",
    "Data",
    "Value",
    "Config",
    "Version",
    "Package",
    "Component",
    "Instance",
    "Context",
    "Callback",
    "Request",
    "Status",
    "Error",
    "Trace",
    "Log",
    "Window",
    "Display",
    "Audio",
    "Impl",
];

/// Names, messages and identifiers, as in `.rdata`.
fn strings(random: &mut Random, out: &mut Vec<u8>, end: usize) {
    while out.len() < end {
        match random.below(8) {
            0 => out.extend_from_slice(&random.guid()),
            1 => {
                out.extend_from_slice(b"?");
                name(random, out, 4);
                out.extend_from_slice(b"@@UEAAJPEAU_");
                name(random, out, 2);
                out.extend_from_slice(b"@@PEBGK@Z\0");
            }
            2 => {
                out.extend_from_slice(b"onecore\\");
                name(random, out, 2);
                out.extend_from_slice(b"\\lib\\");
                name(random, out, 3);
                out.extend_from_slice(b".cpp\0");
            }
            _ => {
                let words = 2 + skewed(random, 4);
                name(random, out, words);
                out.push(0);
            }
        }
        out.resize(out.len().next_multiple_of(4), 0);
    }
}

fn name(random: &mut Random, out: &mut Vec<u8>, words: usize) {
    for _ in 0..words {
        out.extend_from_slice(SYLLABLES[skewed(random, SYLLABLES.len())].as_bytes());
    }
}

/// Messages in UTF-16, as in `.rsrc` and `.mui`.
pub(crate) fn resources(random: &mut Random, out: &mut Vec<u8>, end: usize) {
    let mut text = Vec::new();
    while out.len() < end {
        text.clear();
        for _ in 0..3 + random.below(9) {
            name(random, &mut text, 1);
            text.extend_from_slice(if random.below(12) == 0 { b" %1!s! " } else { b" " });
        }
        text.extend_from_slice(b"\r\n\0");
        out.extend_from_slice(&(text.len() as u16).to_le_bytes());
        out.extend(text.iter().flat_map(|&byte| [byte, 0]));
    }
}

/// An icon: runs of slowly changing colours.
fn bitmap(random: &mut Random, out: &mut Vec<u8>, end: usize) {
    let mut colour = random.next() as u32;
    while out.len() < end {
        if random.below(3) == 0 {
            colour = colour.wrapping_add((random.next() & 0x0007_0707) as u32);
        }
        for _ in 0..1 + skewed(random, 12) {
            out.extend_from_slice(&colour.to_le_bytes());
        }
    }
}
