#!/usr/bin/env bash
# Sets up, builds Prestage, makes the sample site and builds its medium into ./sample-out.
set -euo pipefail
cd "$(dirname "$0")"
./setup.sh
cargo build --release --locked -p prestage-cli
prestage=${CARGO_TARGET_DIR:-target}/release/prestage
rm -rf sample-out
"$prestage" sample sample-out
"$prestage" build sample-out/spec.toml --data-dir sample-out/data
"$prestage" verify sample-out/out/w11-sample.wim
"$prestage" inspect sample-out/out/w11-sample.wim
