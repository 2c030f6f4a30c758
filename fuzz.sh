#!/usr/bin/env bash
# Fuzzes every target for a while, from the kept corpus: ./fuzz.sh [SECONDS] [TARGET…]
# Needs the stable toolchain only; 'cargo +nightly fuzz run TARGET' does the same with AddressSanitizer.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-3}
shift || true

# Only Prestage's own crates count what they cover; all others are those of the ordinary build.
cd fuzz
# Not --locked: a crate that got a dependency needs no second lock file changed by hand.
RUSTC_WRAPPER=$PWD/instrument.sh cargo build --bins
programs=$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug
cd ..

[ $# -gt 0 ] || set -- $(cd fuzz/fuzz_targets && printf '%s\n' *.rs | sed 's/\.rs$//')
# New inputs go to a folder of their own: only minimised ones belong into the kept corpus.
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
mkdir -p fuzz/artifacts
for target in "$@"; do
    mkdir -p "$found/$target" "fuzz/artifacts/$target"
    options=(-max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -malloc_limit_mb=256
        -artifact_prefix="fuzz/artifacts/$target/" -print_final_stats=1)
    [ ! -f "fuzz/dictionaries/$target.dict" ] || options+=(-dict="fuzz/dictionaries/$target.dict")
    log=$found/$target.log
    if ! "$programs/$target" "${options[@]}" "$found/$target" "fuzz/corpus/$target" 2>"$log"; then
        tail -n 40 "$log"
        echo "fuzz: $target breaks a promise; its input is in fuzz/artifacts/$target" >&2
        exit 1
    fi
    echo "fuzz: $target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs"
done
