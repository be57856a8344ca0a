"""What a shim hangs on of a toolchain's release fails with what to do, and not with a verdict."""

import json
import subprocess
import tempfile
import threading
from pathlib import Path

import go_clock
from mock_case import expect
from start import coze_java

NEXT_GO = "go9.9"


def go(shim):
    """A release of Go whose standard library is another, and a library that waits in another way."""
    with tempfile.TemporaryDirectory() as root:
        sources = Path(root) / "src" / "time"
        sources.mkdir(parents=True)
        (sources / "time.go").write_text("package time\n\nfunc Now() (now Time) {\n")
        (sources / "auth.go").write_text("package sdk\n\nvar never = time.After(1)\n")
        answers = {"GOVERSION": NEXT_GO, "GOROOT": root, "-f": str(sources)}
        real, go_clock.go = go_clock.go, lambda _, what, *more: answers[what]
        try:
            why = ended(go_clock.overlay)
            expect(f"names the release and the remedy: {why}", True, NEXT_GO in why and "change REPLACED" in why)
            why = ended(lambda: go_clock.look_for_other_clocks("sdk", ["auth.go"]))
            expect(f"names the call: {why}", True, "time.After in auth.go" in why)
        finally:
            go_clock.go = real


def ended(call):
    try:
        call()
    except SystemExit as why:
        return str(why)
    return "it went on"


def java(shim):
    """A library that reads time as the agent does not know it: OkHttp, which measures in nanoseconds."""
    args = {"as": "c", "kind": "device", "client_id": "c"}
    asked = [("case", {"id": "clock", "base_url": "http://127.0.0.1:1"}), ("client.new", args)]
    lines = [json.dumps({"id": n, "op": op, "args": args, "unix_ms": 1}) for n, (op, args) in enumerate(asked, 1)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(coze_java("okhttp3/"), **pipes, text=True) as process:
        process.stdin.write("\n".join(lines) + "\n")
        process.stdin.flush()  # and left open: its end would end the shim
        alarm = threading.Timer(10, process.kill)
        alarm.start()
        why = process.stderr.read()
        expect(f"names the call: {why}", True, "System.nanoTime" in why and "ShimClock.java" in why)
        expect("exit code", 1, process.wait())
        alarm.cancel()


CASES = {"coze-go": [("clock-of-the-next-go", go)], "coze-java": [("clock-that-the-agent-does-not-know", java)]}
