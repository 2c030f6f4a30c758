# The front door: every developer command. 'just' alone lists them.

_list:
    @just --list --unsorted

# Install everything the build and the tests need (Debian)
setup:
    ./setup.sh tests

# Format, lint, unit tests, end-to-end tests: what CI runs
test:
    ./test.sh

# Rewrite all sources in house style
fmt:
    cargo fmt --all

fmt-check:
    cargo fmt --all --check

clippy:
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Paired ratios against wimlib-imagex and cp (design rows), a release build: 'just bench --help'
bench *ARGS:
    cargo build --release --locked -p prestage-cli
    cargo build --release --locked -p prestage-wim --examples
    python3 tests/bench/bench.py {{ARGS}}

# Lint units, image, chart, compose file, alerts and protocol
lint-deploy:
    deploy/lint.sh

# What each codec level costs and saves: table, JSON and plot
curve *ARGS:
    cargo build --release --locked -p prestage-cli
    cargo build --release --locked -p prestage-wim --examples
    python3 tests/bench/curve.py {{ARGS}}

# A fleet under load, and the scheduler's figures
fleet *ARGS:
    cargo build --release --locked -p prestage-cli
    cargo bench --locked -p prestage-coordinator --bench scheduler
    python3 tests/bench/fleet.py {{ARGS}}

# Build media on a fleet whose processes are killed all the while: 'just soak --minutes 60'
soak *ARGS:
    ./soak.sh {{ARGS}}

# Fuzz every parser, or some, for so many seconds each
fuzz SECONDS='60' *TARGETS:
    ./fuzz.sh {{SECONDS}} {{TARGETS}}

# Licences, banned libraries, sources and advisories of dependencies
deny:
    ./deny.sh

# The binary's bill of materials: CycloneDX, on standard output
sbom:
    @python3 deploy/sbom.py

# Build the sample medium into ./sample-out
sample:
    ./sample.sh
