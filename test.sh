#!/usr/bin/env bash
# Sets up and passes the tests: format, clippy, licences, unit, compatibility and end-to-end tests.
set -euo pipefail
cd "$(dirname "$0")"
./setup.sh tests
deploy/lint.sh
./deny.sh
cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- -D warnings
cargo test --workspace --locked
