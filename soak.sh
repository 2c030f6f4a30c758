#!/usr/bin/env bash
# Builds media on a fleet whose processes are killed all the while: ./soak.sh --minutes 60 [--seed N] [--json FILE]
# Takes the release binary if there is one, else the debug one. What it checks: docs/reliability/chaos.md.
set -euo pipefail
cd "$(dirname "$0")"
exec python3 tests/bench/soak.py "$@"
