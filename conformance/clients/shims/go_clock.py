#!/usr/bin/env python3
"""The clock of a shim in Go: an overlay on the standard library, made here for `go build -overlay overlay.json`.

`time.Now` and `time.Sleep` then ask `time.ShimNow` and `time.ShimSleep` first, which `shim_wire.go` sets. The library under
test is compiled as it is; so is the rest of the standard library, which keeps real time: HTTP timeouts stay real.

    go_clock.py PACKAGE FILE…      in a folder with a go.mod; PACKAGE is the library, FILE… those of its files that wait
"""

import json
import re
import subprocess
import sys
from pathlib import Path

# For each file: what stands there exactly once, and what is to stand there.
REPLACED = {
    "time/time.go": (
        "\nfunc Now() Time {\n",
        "\nfunc Now() Time {\n\tif ShimNow != nil {\n\t\tif now, ok := ShimNow(); ok {\n\t\t\treturn now\n\t\t}\n\t}\n",
    ),
    "time/sleep.go": (
        "\nfunc Sleep(d Duration)\n",
        "\nfunc Sleep(d Duration) {\n\tif ShimSleep == nil || !ShimSleep(d) {\n\t\trealSleep(d)\n\t}\n}\n\n"
        "func realSleep(d Duration)\n\n"
        "// ShimNow and ShimSleep say whether the caller is of the library under test, and act for it.\n"
        "var (\n\tShimNow   func() (Time, bool)\n\tShimSleep func(Duration) bool\n)\n",
    ),
    "runtime/time.go": ("\n//go:linkname timeSleep time.Sleep\n", "\n//go:linkname timeSleep time.realSleep\n"),
}




def go(*arguments):
    return subprocess.run(["go", *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def overlay():
    release, root = go("env", "GOVERSION"), Path(go("env", "GOROOT")) / "src"
    replace = {}
    for name, (old, new) in REPLACED.items():
        text = (root / name).read_text(encoding="utf-8")
        if text.count(old) != 1:
            sys.exit(
                f"{release} has {old.strip()!r} {text.count(old)} times in {root / name}, and the clock of shims in Go replaces "
                "it where it stands once. Read that file, and change REPLACED in conformance/clients/shims/go_clock.py so that "
                "time.Now and time.Sleep ask the shim first; or use go1.26, for which it was written"
            )
        changed = Path(name.replace("/", "_") + ".changed").resolve()
        changed.write_text(text.replace(old, new), encoding="utf-8")
        replace[str(root / name)] = str(changed)
    Path("overlay.json").write_text(json.dumps({"Replace": replace}), encoding="utf-8")


def look_for_other_clocks(package, files):
    """A library that takes time from elsewhere would be judged by two clocks."""
    folder = Path(go("list", "-f", "{{.Dir}}", package))
    for name in files:
        # time.Since and time.Until call time.Now from within `time`; a timer is not a sleep.
        found = re.search(r"\btime\.(After|AfterFunc|NewTicker|NewTimer|Since|Tick|Until)\b", (folder / name).read_text(encoding="utf-8"))
        if found:
            sys.exit(
                f"{package} calls {found[0]} in {name}, which the clock of shims in Go leaves in real time: "
                "teach it to conformance/clients/shims/go_clock.py and shim_wire.go"
            )


if __name__ == "__main__":
    overlay()
    look_for_other_clocks(sys.argv[1], sys.argv[2:])
