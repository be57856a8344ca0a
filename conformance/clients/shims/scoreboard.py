#!/usr/bin/env python3
"""Every case over the released SDKs beside ours: docs/scoreboard.md, and target/scoreboard.html with the exchanges.

With --beside COMMIT it also tells how long this takes beside the scoreboard of that commit.
"""

import argparse
import os
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "released-sdks"), str(HERE.parents[1] / "oauth-libraries")]
import board  # noqa: E402
from install import EXE, TARGET, WORKSPACE, Missing, Trouble, without_proxy  # noqa: E402
from start import command  # noqa: E402

OURS = ["reqwest", "ureq", "raw-socket", "in-memory"]
SDKS = ["cozepy", "coze-api", "coze-go", "coze-java", "coze-workload-identity"]
PAGE = WORKSPACE / "docs" / "scoreboard.md"
RUNNER = ["cargo", "build", "--quiet", "--locked", "--package", "coze-auth-conformance", "--example", "conformance"]
RUNS = 3
MOST = 1.5


def found():
    """What starts each SDK's shim; all that this machine has the tools for. CI must have them all."""
    chosen = {}
    for name in SDKS:
        try:
            chosen[name] = command(name)
        except Missing as why:
            if os.environ.get("CI"):
                raise
            print(f"skipped {name}: {why}", flush=True)
    return chosen


def built(workspace, target):
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    if subprocess.run(RUNNER, cwd=workspace, env=environment).returncode:
        raise Trouble(f"the runner of {workspace} does not build")
    return str(target / "debug" / "examples" / f"conformance{EXE}")


def line(program, adapters, known, *more):
    """A run over ours, and over these: a name, and what starts it."""
    run = [program, "run"]
    for name in OURS:
        run += ["--subject", name]
    for name, start in adapters.items():
        run += ["--adapter", f"{name}={start}", "--known-failures", str(known / f"{name}.toml")]
    return [*run, *more]


def ours(adapters, page, *more):
    environment, starts = without_proxy(), {}
    for name, (start, needs) in adapters.items():
        environment |= needs
        starts[name] = subprocess.list2cmdline(start) if os.name == "nt" else shlex.join(start)
    known = WORKSPACE / "conformance" / "suite" / "known-failures"
    return line(built(WORKSPACE, TARGET), starts, known, "--md", str(page), *more), environment


def theirs(commit):
    """The scoreboard of that commit, from a checkout below the target folder, which is kept there."""
    checkout = TARGET / f"scoreboard-{commit}"
    if not checkout.exists():
        git = ["git", "-C", str(WORKSPACE), "worktree"]
        subprocess.run([*git, "prune"], check=True)
        if subprocess.run([*git, "add", "--quiet", "--detach", str(checkout), commit]).returncode:
            raise Trouble(f"the history here does not go back to {commit}")
    program = built(checkout, checkout / "target")
    suite = checkout / "conformance"
    shims = next(folder for folder in (suite / "clients" / "shims", suite / "shims") if folder.exists())
    known = next(folder for folder in (suite / "suite" / "known-failures", suite / "known-failures") if folder.exists())
    starts = {}
    environment = without_proxy(CARGO_TARGET_DIR=str(checkout / "target"))
    for file in sorted(known.glob("*.toml")):
        starts[file.stem] = f"{sys.executable} {shims / 'start.py'} {file.stem}"
        start = [sys.executable, str(shims / "start.py"), file.stem]
        if subprocess.run(start, env=environment, stdin=subprocess.DEVNULL).returncode:  # installs it
            raise Trouble(f"{file.stem} of {commit} does not start")
    return line(program, starts, known, "--md", str(TARGET / f"scoreboard-{commit}.md")), environment, len(starts)


def seconds(run, environment):
    began = time.monotonic()
    done = subprocess.run(run, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode > 2:  # a check that fails on a busy machine took its time all the same
        raise Trouble(f"a run did not come to its end, so its time says nothing: {done.stdout[-2000:]}")
    return time.monotonic() - began


def beside(commit):
    adapters = found()
    run, environment = ours(adapters, TARGET / "scoreboard.md")
    before, environment_before, sdks = theirs(commit)
    times, times_before = [], []
    for _ in range(RUNS):  # by turns: a busy machine is so for both
        times_before.append(seconds(before, environment_before))
        times.append(seconds(run, environment))
    now, then = statistics.median(times), statistics.median(times_before)
    told = [f"{len(OURS) + len(adapters)} subjects: {now:.1f} s", f"{len(OURS) + sdks} at {commit}: {then:.1f} s"]
    print(f"{', '.join(told)}; {now / then:.2f} times as long, at most {MOST} (medians of {RUNS} runs on {os.cpu_count()} cores)")
    return 0 if now <= MOST * then else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beside", metavar="COMMIT", help="compares the time with that of this commit's scoreboard")
    given = parser.parse_args()
    try:
        if given.beside:
            return beside(given.beside)
        adapters = found()
        whole = len(adapters) == len(SDKS)
        page = PAGE if whole else TARGET / "scoreboard.md"
        run, environment = ours(adapters, page, "--html", str(TARGET / "scoreboard.html"))
        code = subprocess.run(run, env=environment).returncode
        if page.exists():
            board.write(page)
    except (Trouble, OSError) as why:
        print(f"no verdict: {why}", file=sys.stderr)
        return 2
    if code == 0 and os.environ.get("CI"):
        return subprocess.run(["git", "diff", "--exit-code", "--", str(PAGE)], cwd=WORKSPACE).returncode
    return code


if __name__ == "__main__":
    sys.exit(main())
