#!/usr/bin/env bash
# Stands before rustc: adds libFuzzer's coverage counters (what cargo-fuzz passes) to our crates.
set -euo pipefail
case " $* " in
*" --crate-name build_script_build "*) ;;
*" --crate-name prestage_"* | *" fuzz_targets/"*)
    set -- "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
        -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1
    ;;
esac
exec "$@"
