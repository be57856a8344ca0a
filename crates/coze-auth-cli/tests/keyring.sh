#!/usr/bin/env bash
# `--store keyring` under a real Secret Service: gnome-keyring, unlocked, locked, with a dialog that nobody answers, with an entry of another program, and none.
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
in_session() { # the part below, in a session of its own, whose services have the display $2, if there is one
    env -i PATH="$PATH" HOME="$home" XDG_RUNTIME_DIR="$runtime" COZE_API_BASE="$base" command="$command" mock="$mock" ${2:+DISPLAY="$2"} \
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
echo "a login that renews"
in_session '
unlock
ctl() { "$mock" ctl --url "$COZE_API_BASE" "$@"; }
renewals() { ctl --json requests | grep -o "\"grant\":\"refresh_token\"" | wc -l; }
ctl clock set "$(date -u -d "1000 seconds ago" +%Y-%m-%dT%H:%M:%SZ)" > /dev/null # so that the token has ended when the clock is right again
device=$(sed -n "s/^ *device  *\([^ ]*\).*/\1/p" "$HOME/mock.txt")
"$command" login --json --client-id "$device" --store keyring --profile person > "$HOME/login" 2> "$HOME/err" & login=$!
for _ in $(seq 100); do grep -q user_code "$HOME/login" && break; sleep 0.1; done
ctl device approve "$(sed -n "s/.*\"user_code\":\"\([^\"]*\).*/\1/p" "$HOME/login")" > /dev/null
wait "$login" || { echo "the login failed"; cat "$HOME/err"; exit 1; }
ctl clock real > /dev/null
for half in one other; do "$command" token --profile person > "$HOME/$half" & done; wait
grep -q czu_ "$HOME/one" && cmp "$HOME/one" "$HOME/other" # of two processes one renews, under the lock of the file store
[ "$(renewals)" = 1 ] || { echo "$(renewals) renewals, expected 1"; exit 1; }
status 0 token --profile person; cmp "$HOME/out" "$HOME/one" # what came was stored
[ "$(renewals)" = 1 ] || { echo "it was not stored"; exit 1; }
status 0 status --profile person; says "then it is renewed"
! grep -rq czu_ "$HOME/.local/state" "$HOME/.config" # in no file
status 0 whoami --profile person; says alice
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
if command -v Xvfb > /dev/null; then
    echo "locked, and nobody answers the dialog"
    Xvfb -displayfd 3 -screen 0 800x600x24 -nolisten tcp 3> "$home/display" 2> /dev/null & display_pid=$!
    trap 'kill "$mock_pid" "$display_pid"; rm -rf "$home"' EXIT
    for _ in $(seq 100); do [ -s "$home/display" ] && break; sleep 0.1; done
    in_session '
    gnome-keyring-daemon --start --components=secrets > /dev/null 2>&1
    began=$SECONDS
    status 10 token; says "has not answered in 10 s"; says "waiting for the keyring"
    took=$((SECONDS - began)); [ "$took" -ge 9 ] && [ "$took" -le 15 ] || { echo "it took $took s"; exit 1; }
    status 125 exec -- true
    ' ":$(cat "$home/display")"
else
    echo "skipped: locked, and nobody answers the dialog (Xvfb is not there)"
fi
echo "still there when it is unlocked"
in_session 'unlock; status 0 token; says pat_mock_alice; status 0 token --profile person; cmp "$HOME/out" "$HOME/one"; status 0 logout; status 3 token'
echo "no D-Bus"
env -i PATH="$PATH" HOME="$home" COZE_API_BASE="$base" command="$command" bash -euo pipefail -c "$helpers"'
status 11 login --with-token --store keyring; says "this session has no keyring"
'
echo ok
