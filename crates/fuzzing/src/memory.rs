//! How much memory a parser may take for an input.

use std::sync::{Mutex, PoisonError};

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Live bytes are counted for the whole process, so one run at a time may be measured.
static MEASURING: Mutex<()> = Mutex::new(());

/// The most bytes that may live at once during a run, beyond those before it:
/// `for_each_byte` times the input, and `fixed`.
///
/// The factor covers what is inherent in Rust's representation: a vector that grew holds up to
/// twice its content, and both copies while it moves; a dozen bytes of input may become a record of
/// a hundred; the targets keep the input parsed up to three times, to compare. What it must *not*
/// cover is a length that the input merely claims: 4 bytes that say "4 GiB" cross any such line.
/// Compressed formats have a larger factor, which follows from the ratio that their reader accepts.
/// Memory of the C libraries (block decompressors, zstd) is not counted here; libFuzzer's limit on
/// the process bounds it.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// Bytes for each byte of the input.
    pub for_each_byte: usize,
    /// Bytes for any input, an empty one too.
    pub fixed: usize,
}

impl Allowance {
    /// For text and binary structures that are not compressed.
    pub const PLAIN: Self = Self { for_each_byte: 64, fixed: 4 << 20 };

    /// Runs `check` and panics if it had more than the allowance for `input_bytes`.
    pub(crate) fn enforce(self, input_bytes: usize, check: impl FnOnce()) {
        let _alone = MEASURING.lock().unwrap_or_else(PoisonError::into_inner);
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        check();
        let taken = ALLOCATOR.peak_usage().saturating_sub(before);
        let allowed = input_bytes.saturating_mul(self.for_each_byte).saturating_add(self.fixed);
        assert!(taken <= allowed, "{taken} bytes of memory for {input_bytes} bytes of input");
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[test]
    fn a_claimed_length_that_is_allocated_crosses_the_line() {
        let claims = |bytes: usize| {
            let run = move || drop(black_box(Vec::<u8>::with_capacity(bytes)));
            std::panic::catch_unwind(move || Allowance::PLAIN.enforce(16, run)).is_ok()
        };
        assert!(claims(1 << 20));
        assert!(!claims(64 << 20));
    }
}
