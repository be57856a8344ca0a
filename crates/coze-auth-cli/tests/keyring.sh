#!/usr/bin/env bash
# `--store keyring` under a real Secret Service: gnome-keyring, unlocked, locked, with an entry of another program, and none.
# $1 is the command with the feature, $2 the mock. `just keyring` builds both.
set -euo pipefail
command=$(realpath "$1") mock=$(realpath "$2")
home=$(mktemp -d)
runtime="$home/run"
mkdir -m 700 "$runtime"
"$mock" --listen 127.0.0.1:0 > "$home/mock.txt" 2> /dev/null &
mock_pid=$!
trap 'kill "$mock_pid"; rm -rf "$home"' EXIT
for _ in $(seq 100); do grep -q 'listening on' "$home/mock.txt" && break; sleep 0.1; done
base=$(grep -o 'http://127.0.0.1:[0-9]*' "$home/mock.txt" | head -n 1)
export command
in_session() { # the part below, in a session of its own
    env -i PATH="$PATH" HOME="$home" XDG_RUNTIME_DIR="$runtime" COZE_API_BASE="$base" command="$command" \
        dbus-run-session -- bash -euo pipefail -c "$helpers $1"
}
helpers='
status() { # the status that is expected, then the arguments
    local expected=$1 actual=0; shift
    "$command" "$@" < "$HOME/input" > "$HOME/out" 2> "$HOME/err" || actual=$?
    [ "$actual" = "$expected" ] || { echo "coze-auth $*: status $actual, expected $expected"; cat "$HOME/err"; exit 1; }
}
says() { grep -q -- "$1" "$HOME/err" "$HOME/out" || { echo "nothing says: $1"; cat "$HOME/err" "$HOME/out"; exit 1; }; }
unlock() { printf secret | gnome-keyring-daemon --unlock --components=secrets > /dev/null 2>&1; }
printf pat_mock_alice > "$HOME/input"
'
echo "unlocked"
in_session '
unlock
status 3 token
status 0 login --with-token --store keyring
status 0 token; says pat_mock_alice
status 0 status; says "the keyring"
! grep -rq pat_mock "$HOME/.local/state" "$HOME/.config" # in no file
printf sat_mock_ci > "$HOME/input"
status 0 login --with-token --profile ci # another profile is another entry, and in a file
status 0 login --with-token; status 0 token; says sat_mock_ci # the store is remembered
printf pat_mock_alice > "$HOME/input"; status 0 login --with-token
'
if command -v secret-tool > /dev/null; then
    echo "entries of another program"
    in_session '
    unlock
    user="default in $HOME/.local/state/coze-auth/grants"
    printf pasted | secret-tool store --label=x service "coze-auth-cli grant" username "$user" application other
    status 0 token; says pat_mock_alice # ours is found
    status 0 login --with-token # and stays alone
    secret-tool search --all service "coze-auth-cli grant" username "$user" 2>&1 | grep -c "^secret" | grep -qx 1
    status 0 logout
    for application in a b; do printf pasted | secret-tool store --label=x service "coze-auth-cli grant" username "$user" application $application; done
    status 0 login --with-token --store keyring; status 0 token
    status 0 logout
    printf pasted | secret-tool store --label=x service "coze-auth-cli grant" username "$user"
    status 0 login --with-token --store keyring --profile other
    cp "$HOME/.config/coze-auth/profiles/other.json" "$HOME/.config/coze-auth/profiles/default.json"
    status 3 token; says "not its grant" # what somebody pasted is no token
    printf pasted | secret-tool store --label=x service "coze-auth-cli grant" username "$user" application other
    status 12 token
    status 0 login --with-token --store keyring; status 0 token; says pat_mock_alice
    '
else
    echo "skipped: entries of another program (secret-tool, of libsecret-tools, is not there)"
fi
echo "locked"
in_session '
gnome-keyring-daemon --start --components=secrets > /dev/null 2>&1
status 10 token; says "locked"
status 10 logout
status 10 login --with-token --store keyring
'
echo "still there when it is unlocked"
in_session 'unlock; status 0 token; says pat_mock_alice; status 0 logout; status 3 token'
echo "no D-Bus"
env -i PATH="$PATH" HOME="$home" COZE_API_BASE="$base" command="$command" bash -euo pipefail -c "$helpers"'
status 11 login --with-token --store keyring; says "this session has no keyring"
'
echo ok
