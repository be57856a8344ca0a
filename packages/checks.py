"""What the checks of the packages share."""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "conformance" / "released-sdks"), str(ROOT / "mock-server" / "tests" / "sdks")]
from install import WORKSPACE, Missing, Trouble  # noqa: E402
from running_mock import clean, find_mock  # noqa: E402


class Wrong(Exception):
    """A package is not what it should be."""


def say(text):
    print(text, flush=True)


def run(command, **options):
    """What a command prints, which has to succeed."""
    command = [str(part) for part in command]
    options = {"stdin": subprocess.DEVNULL, **options}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode:
        raise Wrong(f"exit status {done.returncode} of {' '.join(command)}:\n{done.stdout[-8000:]}")
    return done.stdout


def users(mock):
    """The environment of a user who names this binary: no proxy, and nothing else of Coze's."""
    return clean(COZE_AUTH_MOCK_BIN=str(mock))


def workspace_version():
    text = (WORKSPACE / "Cargo.toml").read_text(encoding="utf-8")
    return re.search(r'^\[workspace\.package\]\nversion = "([^"]+)"', text, re.M)[1]


def verdict(check):
    """The exit status of a check: 1 if a package is not what it should be, 2 if nobody knows. Without its toolchain it says so, and fails where CI is set."""
    try:
        check()
    except Wrong as wrong:
        print(wrong, file=sys.stderr)
        return 1
    except Missing as why:
        print(f"skipped: {why}", file=sys.stderr)
        return 2 if os.environ.get("CI") else 0
    except (Trouble, OSError) as why:
        print(f"no verdict: {why}", file=sys.stderr)
        return 2
    return 0


def main(what, check):
    """Runs a check with a binary of the mock."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--mock", metavar="PATH", help="binary of the mock server; built with cargo if not given")
    given = parser.parse_args()
    began = time.monotonic()
    status = verdict(lambda: check(find_mock(given.mock), workspace_version()))
    say(f"{time.monotonic() - began:.0f} s")
    return status
