#!/usr/bin/env python3
"""The Go module of the mock, and its sample project with the released coze-go, under `go test` with the debug binary. `just go-module`."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from checks import ROOT, Wrong, main, run, say, users  # noqa: E402
from install import go  # noqa: E402

MODULE = HERE / "cozeauthmock"
EXAMPLE = MODULE / "example"


def check(mock, _version):
    tool, _, settings = go()
    environment = users(mock) | {name: settings[name] for name in ("GOMODCACHE", "GOCACHE", "GOFLAGS", "CGO_ENABLED", "GOTOOLCHAIN")}
    unformatted = run([Path(tool).with_name("gofmt"), "-l", MODULE])
    if unformatted:
        raise Wrong(f"gofmt would change:\n{unformatted}")
    for folder in (MODULE, EXAMPLE):
        # go.mod names the oldest Go; vet tells what of the standard library is newer.
        run([tool, "vet", "./..."], cwd=folder, env=environment)
        said = run([tool, "test", "-count=2", "./..."], cwd=folder, env=environment)
        say(f"{folder.relative_to(ROOT)}: {[line for line in said.splitlines() if line.startswith('ok')][-1]}")


if __name__ == "__main__":
    sys.exit(main(__doc__, check))
