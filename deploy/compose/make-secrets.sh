#!/usr/bin/env bash
# Makes the secrets of compose.yaml, each in a file of its own that only its container's user reads.
# What is there stays: a new seal key would make saved plans unreadable. Back secrets/seal.key up.
# Run it as root, since the containers' user (10001) must own what it reads.
set -euo pipefail
cd "$(dirname "$0")"
# The password and keys are named in several files, which must agree: all of them or none.
if [ -e secrets ]; then
    echo "make-secrets: secrets/ is there already; nothing was changed"
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "make-secrets: run it as root: user 10001 of the containers must own the files" >&2
    exit 2
fi
umask 077
random() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

# It gets its name when it is complete.
new=$(mktemp -d secrets.XXXXXX)
trap 'rm -rf "$new"' EXIT
password=$(random)
access=$(random | head -c 20)
secret=$(random)
printf '%s' "$password" >"$new/postgres-password"
printf 'PRESTAGE_STATE=postgres://prestage:%s@postgres:5432/prestage\n' "$password" >"$new/state.env"
printf 'AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\n' "$access" "$secret" >"$new/objects.env"
printf '{"identities":[{"name":"prestage","credentials":[{"accessKey":"%s","secretKey":"%s"}],"actions":["Admin","Read","Write","List","Tagging"]}]}\n' \
    "$access" "$secret" >"$new/s3.json"
head -c 32 /dev/urandom >"$new/seal.key"
chown 10001:10001 "$new/state.env" "$new/objects.env" "$new/seal.key"
# SeaweedFS reads it as a user whose number its releases differ in; the folder keeps others out.
chmod 0444 "$new/s3.json"
# PostgreSQL reads its password while it is root still.
mv -T "$new" secrets
trap - EXIT
echo "make-secrets: made secrets/; back up secrets/seal.key"
