#!/usr/bin/env python3
"""The shims against the mock: every operation, good and failing, each line held against the schema.

Exit status: 0, 1 if a case failed, 2 if there is no verdict.
"""

import argparse
import json
import os
import shlex
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONFORMANCE = HERE.parents[1]
sys.path.insert(0, str(CONFORMANCE / "released-sdks"))
sys.path.insert(0, str(CONFORMANCE.parent / "mock-server" / "tests" / "sdks"))
from install import SDKS, Missing, Trouble, cozepy, without_proxy  # noqa: E402
from running_mock import find_mock, running_mock  # noqa: E402

if Path(sys.prefix) != SDKS / "venv":  # not yet the interpreter that has jsonschema
    try:
        python = str(cozepy())
    except (Trouble, OSError) as why:
        print(f"no verdict: {why}", file=sys.stderr)
        sys.exit(2)
    os.execv(python, [python, "-B", *sys.argv])

import check_clocks  # noqa: E402
import check_flows  # noqa: E402
import check_pages  # noqa: E402
import check_wire  # noqa: E402
from check_steps import device  # noqa: E402
from mock_case import Mismatch, expect  # noqa: E402
from runner import OPERATIONS, CleanMock, Shim  # noqa: E402
from start import SHIMS, command  # noqa: E402

# --- runs ----------------------------------------------------------------------------------------


def life(start, mock):
    """Starting, ending and being killed in the middle."""
    shim = start()
    shim.write(json.dumps({"id": 1, "op": "api.call", "args": {"token": "t"}, "unix_ms": 1}))
    early = shim.receive()
    expect("before a case", True, "unsupported" in early or early.get("err", {}).get("kind") == "protocol")
    expect("exit code after exit", 0, shim.end())
    shim = start()
    shim.hello()
    shim.case("life")
    if device(shim):
        shim.request("device.poll", device="d")
        shim.receive()
    expect("exit code at the end of input, asleep", 0, shim.end(by_exit=False))
    shim = start()
    shim.hello()
    shim.case("life.end")
    device(shim)
    if shim.ok("process.end") is not None:
        expect("exit code after process.end", 0, shim.process.wait(timeout=5))
        shim = start()
        shim.hello()
    shim.kill()
    shim = start()
    shim.hello()
    shim.end()


def check(name, line, environment, mock):
    """One line for each case; the number of failures."""

    def start():
        return Shim(line, environment, mock)

    failed, shim = 0, start()
    about = shim.hello()
    cases = (
        check_flows.CASES
        + check_wire.CASES
        + check_clocks.CASES.get(name, [])
        + check_pages.CASES.get(name, [])
        + [("life", lambda _: life(start, mock)), ("every-operation", every_operation)]
    )
    for title, body in cases:
        try:
            body(shim)
        except Exception as why:
            failed += 1
            print(f"FAIL {name} {title} — {type(why).__name__}: {why}", flush=True)
            mock.control("DELETE", "/faults")
            shim.kill()
            asked, shim = shim.asked, start()
            shim.hello()
            shim.asked |= asked
        else:
            print(f"ok   {name} {title}", flush=True)
    shim.end()
    print(f"{about['name']} {about['version']}: {len(cases) - failed} passed, {failed} failed", flush=True)
    return failed


def found(names):
    """What starts those that are named; or all for which this machine has the tools: CI must have them all."""
    chosen = {}
    for name in names or SHIMS:
        try:
            chosen[name] = command(name)
        except Missing as why:
            if names or os.environ.get("CI"):
                raise
            print(f"skipped {name}: {why}", flush=True)
    return chosen


def every_operation(shim):
    missing = {op for op in OPERATIONS - shim.asked if op in shim.caps or op.split(".")[0] in shim.caps}
    expect("operations that no case asked for", set(), missing)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mock", metavar="PATH", help="binary of the mock server; built with cargo if not given")
    parser.add_argument("--command", metavar="LINE", help="what starts a shim of yours, instead of those here")
    parser.add_argument("shims", nargs="*", metavar="SHIM", help=f"of {', '.join(SHIMS)}; all if none is named")
    given = parser.parse_args()
    unknown = set(given.shims) - set(SHIMS)
    if unknown:
        parser.error(f"no such shim: {', '.join(unknown)}")
    try:
        with running_mock(find_mock(given.mock)) as info:
            if given.command:
                chosen = {"yours": (shlex.split(given.command), without_proxy())}
            else:
                chosen = found(given.shims)
            mock = CleanMock(json.loads(info))
            failed = sum([check(name, *start, mock) for name, start in chosen.items()])
    except (Trouble, Mismatch, OSError) as why:  # a shim that cannot say hello has no verdict either
        print(f"no verdict: {why}", file=sys.stderr)
        return 2
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
