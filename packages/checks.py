"""What the checks of the packages for Go and Java share."""

import argparse
import os
import re
import subprocess
import sys
import time

from install import WORKSPACE, Missing, Trouble
from running_mock import clean, find_mock


class Wrong(Exception):
    """A package is not what it should be."""


def say(text):
    print(text, flush=True)


def run(command, **options):
    """What a command prints, which has to succeed."""
    command = [str(part) for part in command]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, **options)
    if done.returncode:
        raise Wrong(f"exit status {done.returncode} of {' '.join(command)}:\n{done.stdout[-8000:]}")
    return done.stdout


def users(mock):
    """The environment of a user who names this binary: no proxy, and nothing else of Coze's."""
    return clean(COZE_AUTH_MOCK_BIN=str(mock))


def workspace_version():
    text = (WORKSPACE / "Cargo.toml").read_text(encoding="utf-8")
    return re.search(r'^\[workspace\.package\]\nversion = "([^"]+)"', text, re.M)[1]


def main(what, check):
    """Runs a check with a binary of the mock. Without its toolchain it says so, and fails where CI is set."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--mock", metavar="PATH", help="binary of the mock server; built with cargo if not given")
    given = parser.parse_args()
    began = time.monotonic()
    try:
        check(find_mock(given.mock), workspace_version())
    except Wrong as wrong:
        print(wrong, file=sys.stderr)
        return 1
    except Missing as why:
        print(f"skipped: {why}", file=sys.stderr)
        return 2 if os.environ.get("CI") else 0
    except (Trouble, OSError) as why:
        print(f"no verdict: {why}", file=sys.stderr)
        return 2
    say(f"{time.monotonic() - began:.0f} s")
    return 0
