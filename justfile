# Every verb of the project. `just` lists them; `./just RECIPE` also works on a machine that has only rustup and python3.

set shell := ["bash", "-euo", "pipefail", "-c"]

tools := justfile_directory() / ".tools"
target := env("CARGO_TARGET_DIR", justfile_directory() / "target")

# What tools/setup brings comes first; the last is where rustup puts cargo.
export PATH := tools / "bin:" + env("PATH") + ":" + home_directory() / ".cargo/bin"

# What the tests and the demo run. Set these to try another Envoy, filter or collector.
export MESHMETER_ENVOY := env("MESHMETER_ENVOY", tools / "bin/envoy")
export MESHMETER_WASM := env("MESHMETER_WASM", target / "wasm32-wasip1/release/filter.wasm")
export MESHMETER_COLLECTOR := env("MESHMETER_COLLECTOR", target / "debug/meshmeter")

# What only the chaos test runs: see `_faulty`.
export MESHMETER_WASM_TRAP := env("MESHMETER_WASM_TRAP", target / "wasm32-wasip1/release/filter-trap.wasm")
export MESHMETER_COLLECTOR_FORGETFUL := env("MESHMETER_COLLECTOR_FORGETFUL", target / "debug/meshmeter-forgetful")

# list the recipes
[private]
default:
    @just --list --unsorted

# meter calls of three tenants on a real Envoy, print what each owes, check it against what the provider served
[group('try it')]
demo *ARGS: (_setup "demo") _announce filter _collector
    cargo run --quiet -p e2e --bin demo -- {{ ARGS }}

# the demo, left running, with what to try by curl
[group('try it')]
up: (demo "up")

# everything below, as CI does
[group('check')]
test: (_setup "test") lint unit wasm e2e web-test istio image-test

# format, clippy on both targets, licences and bans of the dependencies
[group('check')]
lint: (_setup "lint")
    cargo fmt --all --check
    cargo clippy --quiet --all-targets -- -D warnings
    cargo clippy --quiet -p filter -p read-only -p buffered-serde --target wasm32-wasip1 -- -D warnings
    RUSTDOCFLAGS='-D rustdoc::broken_intra_doc_links' cargo doc --quiet --no-deps -p wire -p meter -p delivery -p warehouse -p relay -p collector
    cargo deny --log-level warn check licenses bans sources

# the crates' own tests on this machine; the plugin runs on a mock of the ABI
[group('check')]
unit: (_setup "unit") && (_bench-ledger "dev" "debug" "--entries" "3000" "--tenants" "300" "--verify")
    cargo test --quiet --no-fail-fast -p wire -p meter -p delivery -p filter -p warehouse -p relay -p collector -p corpus -p modules -p simulate
    {{ if env("MESHMETER_CORPUS", "") == "" { "" } else { "cargo test --quiet -p meter --test estimates -- --ignored" } }}

# the cases of the wire, the meter and delivery again, in a WebAssembly VM (Node)
[group('check')]
wasm: (_setup "wasm")
    cargo test -p wire -p meter -p delivery --target wasm32-unknown-unknown --lib

# a real Envoy, the collector and a provider, end to end
[group('check')]
e2e: (_setup "e2e") _faulty filter _collector
    cargo test --quiet -p e2e --no-fail-fast

# all of e2e on each Envoy of envoy/OLDER_VERSIONS; `just e2e` has a short form of it
[group('check')]
e2e-older: (_setup "e2e") _faulty filter _collector
    #!/usr/bin/env bash
    set -euo pipefail
    while read -r version; do
        echo "testing on Envoy $version …"
        MESHMETER_ENVOY='{{ tools }}'/bin/envoy-$version cargo test --quiet -p e2e -- \
            --skip contract_envoy_has_the_version_of_the_project </dev/null
    done <'{{ justfile_directory() }}/envoy/OLDER_VERSIONS'

# the ledger's stream to a real Kafka while relay and broker are killed, KILLS times, and a Spark job over the topic
[group('check')]
relay-test KILLS='40': (_setup "relay-test") _collector
    MESHMETER_RELAY_KILLS={{ KILLS }} MESHMETER_SPARK='{{ tools }}/warehouse/bin/python' \
        cargo test --quiet -p e2e --test race_relay --test contract_relay --test fidelity_relay -- --nocapture --test-threads=1

# a collector with TENANTS, scraped by a real Prometheus while events come in: totals to the token, and what it took
[group('check')]
tenants TENANTS='100000': (_setup "e2e")
    cargo build --quiet --release -p collector --bin meshmeter
    MESHMETER_TENANTS={{ TENANTS }} MESHMETER_COLLECTOR='{{ target }}/release/meshmeter' \
        cargo test --quiet -p e2e --test fidelity_prometheus_tenants -- --nocapture

# CALLS (100000) through a real Envoy while all is killed, cut off and updated: nothing lost, nothing charged twice; --help
[group('check')]
chaos *ARGS: (_setup "demo") _faulty filter _collector
    cargo run --quiet -p e2e --bin chaos -- {{ ARGS }}

# attacks on the bill, on real processes: what each must not change holds; --list names them, --help tells more
[group('check')]
siege *ARGS: (_setup "demo") _faulty filter _collector
    cargo run --quiet -p e2e --bin siege -- {{ ARGS }}

# recordings of real responses in DIR through the meter, or with --envoy through a real one; --prices rates them: --help tells more
[group('check')]
[positional-arguments]
corpus *DIR: (_setup "rust")
    #!/usr/bin/env bash
    set -euo pipefail
    case " $* " in
    *' --envoy '*) '{{ just_executable() }}' _envoy-corpus; program=corpus ;;
    *' --prices '*) cargo build --quiet -p collector --example corpus-prices; program=examples/corpus-prices ;;
    *) cargo build --quiet -p meter --example corpus; program=examples/corpus ;;
    esac
    cd '{{ invocation_directory() }}'
    exec '{{ target }}/debug/'"$program" "$@"

# recordings in DIR rated by the built-in book, beside what LiteLLM's and genai-prices' own calculators say of the same records
[group('check')]
[positional-arguments]
compare-prices DIR *ARGS: (_setup "rust")
    #!/usr/bin/env bash
    set -euo pipefail
    cargo build --quiet -p collector --example corpus-prices
    python=$(tools/prices/venv)/bin/python
    compare=$PWD/tools/prices/compare.py
    cd '{{ invocation_directory() }}'
    exec "$python" "$compare" '{{ target }}/debug/examples/corpus-prices' "$@"

_envoy-corpus: (_setup "e2e") filter
    cargo build --quiet -p e2e --bin corpus

# outbox, ingest and ledger in a world where a seed decides what goes wrong, for so many seconds: --help tells more
[group('check')]
[positional-arguments]
simulate *SECONDS: (_setup "rust")
    @cargo build --quiet -p simulate --profile simulate
    @exec '{{ target }}/simulate/simulate' "$@"

# what must hold for any bytes, tried for so many seconds in all; fails with the path of the input that breaks it
[group('check')]
fuzz SECONDS: (_setup "fuzz")
    tests/fuzz/run '{{ SECONDS }}'

# what metering costs in a real Envoy, beside what else could do it; --help tells the options, MESHMETER_WASM the filter
[group('check')]
[linux]
[positional-arguments]
bench *ARGS: (_setup "bench") filter
    cargo build --quiet -p read-only -p buffered-serde --release --target wasm32-wasip1
    cargo build --quiet -p bench
    '{{ target }}/debug/bench' "$@"

# how fast bodies are scanned and what an event costs: natively, then in a WebAssembly VM (Node), as Envoy runs it
[group('check')]
bench-scan: (_setup "wasm")
    cargo bench --quiet -p meter --bench scan --bench sse -- --noplot --warm-up-time 1 --measurement-time 3
    cargo build --quiet -p meter --example speed --release --target wasm32-wasip1
    node --no-warnings --experimental-wasi-unstable-preview1 meter/benches/wasi.mjs \
        '{{ target }}/wasm32-wasip1/release/examples/speed.wasm'

# events a second that a collector acknowledges, on SQLite or at a DATABASE URL; --fill 10000000 measures a large ledger; --help
[group('check')]
[positional-arguments]
bench-ingest *ARGS: (_setup "rust")
    #!/usr/bin/env bash
    set -euo pipefail
    cargo build --quiet --release -p collector --bin meshmeter --example load
    dir=$(mktemp -d)
    trap 'rm -r "$dir"' EXIT
    '{{ target }}/release/examples/load' --dir "$dir" --collector '{{ target }}/release/meshmeter' \
        --prices collector/prices/example.toml "$@"

# what questions take of a large ledger: reports, a statement, the page; `--entries 20000 --verify` proves it in a minute; --help
[group('check')]
[positional-arguments]
bench-ledger *ARGS: (_setup "rust")
    @'{{ just_executable() }}' _bench-ledger simulate simulate "$@"

[positional-arguments]
_bench-ledger PROFILE BUILT *ARGS:
    #!/usr/bin/env bash
    set -euo pipefail
    profile=$1 built='{{ target }}'/$2
    shift 2
    cargo build --quiet --profile "$profile" -p collector --bin meshmeter --example ledger
    dir=$(mktemp -d)
    trap 'rm -r "$dir"' EXIT
    "$built/examples/ledger" --dir "$dir" --collector "$built/meshmeter" --prices collector/prices/example.toml "$@"

# a report of a million sessions: its memory and its time
[group('check')]
bench-sessions: (_setup "rust")
    cargo test --quiet --profile simulate -p collector --test collector -- --ignored --nocapture fidelity_a_million_sessions

# how long a price book takes to read, and a call to rate: the built-in one, or BOOK
[group('check')]
bench-prices BOOK='': (_setup "rust")
    MESHMETER_BOOK='{{ if BOOK == "" { "" } else { absolute_path(BOOK) } }}' cargo test --quiet --profile simulate -p collector --lib -- \
        --ignored --nocapture fidelity_reading_a_large_book

# the manifests in istio/ against Istio's own schemas and rules, then run by Istio's own control plane: prints what was proven
[group('check')]
[linux]
istio: (_setup "istio") _collector filter
    cd tests/istio && "$(go env GOROOT)/bin/gofmt" -d . | diff /dev/null -
    @echo "testing istio/ (the first time this builds Istio's validators, for some minutes) …"
    cd tests/istio && go test -count=1 ./...
    cd tests/chart && "$(go env GOROOT)/bin/gofmt" -d . | diff /dev/null -
    cd tests/chart && go test -count=1 ./...
    cd tests/istio && go build -o '{{ target }}/mesh' ./mesh && '{{ target }}/mesh' -istio '{{ tools }}/istio' -source "$(go list -m -f '{{{{.Dir}}' istio.io/istio)"

# the second half of `istio` alone
[group('check')]
[linux]
[positional-arguments]
mesh *ARGS: (_setup "istio") _collector filter
    cd tests/istio && go build -o '{{ target }}/mesh' ./mesh && exec '{{ target }}/mesh' -istio '{{ tools }}/istio' -source "$(go list -m -f '{{{{.Dir}}' istio.io/istio)" "$@"

# the manifests in istio/, rendered from its chart by Helm's own code
[group('build')]
manifests: (_setup "manifests")
    cd tests/chart && go run ./cmd/manifests ../../istio

# the collector's web page in a real Chromium, on a real collector: each number is the ledger's; --full: with 100,000 tenants
[group('check')]
[positional-arguments]
web-test *ARGS: (_setup "web-test") web _collector
    #!/usr/bin/env bash
    set -euo pipefail
    export MESHMETER_PRICES_EXAMPLE=$PWD/collector/prices/example.toml
    case " $* " in *' --full '*)
        cargo build --quiet --release -p collector --bin meshmeter
        export MESHMETER_FULL=1 MESHMETER_COLLECTOR='{{ target }}/release/meshmeter' ;;
    esac
    cd collector/web
    npm run --silent check
    npm run --silent unit
    npm run --silent browser

# what makes the images, on programs that do nothing; `just image` also starts what it made
[group('check')]
image-test: (_setup "image-test")
    cd tools/image && "$(go env GOROOT)/bin/gofmt" -d . | diff /dev/null -
    cd tools/image && go vet ./... && go test -count=1 ./...

# the plugin: target/wasm32-wasip1/release/filter.wasm
[group('build')]
filter: (_setup "filter")
    cargo build --quiet -p filter --release --target wasm32-wasip1
    @printf 'filter.wasm: %s bytes, %s gzipped\n' "$(wc -c < '{{ MESHMETER_WASM }}')" "$(gzip -c '{{ MESHMETER_WASM }}' | wc -c)"

# the collector's web page, which is then in the binary that is built next: collector/web/dist/
[group('build')]
web: (_setup "web")
    tools/web

# docs/web.png: the page, on a real collector with invented calls
[group('build')]
web-picture: (_setup "web-picture") web _collector
    cd collector/web && MESHMETER_PRICES_EXAMPLE='{{ justfile_directory() }}/collector/prices/example.toml' \
        MESHMETER_PICTURE='{{ justfile_directory() }}/docs/web.png' npm run --silent picture

# the images of the plugin and of the collector (amd64, arm64) as OCI layouts, without Docker; prints digests; --help
[group('build')]
[linux]
[positional-arguments]
image *ARCHITECTURES: (_setup "image")
    @exec tools/ship/images "$@"

# publish the images: `just push registry.example.com/meshmeter`; credentials are those of `docker login` or `podman login`
[group('build')]
[linux]
[positional-arguments]
push *REPOSITORY: (_setup "image")
    @exec tools/ship/push "$@"

# Debian packages of the collector (amd64, arm64) and of the plugin, checked
[group('build')]
[linux]
packages: (_setup "packages")
    @tools/ship/packages
    @ls '{{ target }}'/ship/packages/*.deb

# all that a release has: binaries, images, packages, with checksums, SBOMs and provenance, in target/release-artifacts/
[group('build')]
[linux]
release: (_setup "release")
    @tools/ship/release

# tables in the documents that are made from the code
[group('build')]
docs: (_setup "docs")
    MESHMETER_WRITE_DOCS=1 cargo test --quiet -p meter --test documents
    MESHMETER_WRITE_DOCS=1 cargo test --quiet -p warehouse -p collector --lib -- contract_the_reference_names

# the built-in price book anew: both public lists as PyPI has them (tools/prices/versions), collector/prices/fees.toml and earlier.toml
[group('build')]
builtin-prices DAY='': _collector
    tools/prices/builtin '{{ target }}/debug/meshmeter' {{ DAY }}

# what cargo built (.tools/ stays)
[group('build')]
clean:
    cargo clean

_collector: (_setup "rust")
    tools/web --if-possible
    cargo build --quiet -p collector

# The filter that traps on demand, and the collector that recognises no event again. Built before the shipped ones, whose
# places they take on the way.
_faulty: (_setup "filter")
    cargo build --quiet -p filter --release --target wasm32-wasip1 --features trap
    cp -f '{{ target }}/wasm32-wasip1/release/filter.wasm' '{{ MESHMETER_WASM_TRAP }}'
    cargo build --quiet -p collector --features forgetful
    cp -f '{{ target }}/debug/meshmeter' '{{ MESHMETER_COLLECTOR_FORGETFUL }}'

# Says what a first build takes, before it begins.
_announce:
    @[ -e '{{ target }}/debug/demo' ] || echo 'building the plugin, the collector and the demo (the first time this takes about 10 minutes on two cores) …' >&2

_setup RECIPE:
    @tools/setup {{ RECIPE }}
