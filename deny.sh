#!/usr/bin/env bash
# What the product is built from: licences, banned libraries, sources; advisories where their database can be had.
set -euo pipefail
cd "$(dirname "$0")"
cargo deny --log-level error check licenses bans sources
if cargo deny --log-level error fetch db 2>/dev/null; then
    cargo deny --log-level error check advisories
else
    echo "deny: ADVISORIES WERE NOT CHECKED: their database can't be reached from here; run './deny.sh' where it can" >&2
fi
