#!/usr/bin/env bash
# Simulates Prestage with faults and checks its promises: ./sim.sh --seeds 50000, ./sim.sh --seed 17 --trace
set -euo pipefail
cd "$(dirname "$0")"
exec cargo run --quiet --locked -p prestage-sim -- "$@"
