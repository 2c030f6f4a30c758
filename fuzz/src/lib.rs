//! libFuzzer's entry for the targets of `prestage-fuzzing`.

pub use libfuzzer_sys::fuzz_target;
pub use prestage_fuzzing::Target;

/// The whole program of a target: every input goes to its check.
#[macro_export]
macro_rules! target {
    ($name:literal) => {
        $crate::fuzz_target!(|input: &[u8]| {
            match $crate::Target::named($name) {
                Some(target) => target.run(input),
                None => panic!("there is no target {}", $name),
            }
        });
    };
}
