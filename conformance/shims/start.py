#!/usr/bin/env python3
"""Starts a shim by its name, `start.py cozepy`, after installing the SDK if it is not there."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "sdks"))
from ground import NPM, VENV_PYTHON, Trouble, install_sdk, without_proxy  # noqa: E402

COZEPY = [str(VENV_PYTHON), "-B", str(HERE / "cozepy_shim.py")]
SHIMS = {
    "cozepy": ("cozepy", COZEPY),
    "cozepy-async": ("cozepy", [*COZEPY, "--async"]),
    "coze-api": ("js", ["node", str(HERE / "coze_api_shim.mjs")]),
    "example": (None, [sys.executable, "-B", str(HERE / "example_shim.py")]),
    "first": (None, [sys.executable, "-B", str(HERE / "first_shim.py")]),
}


def command(name):
    """What starts the shim, and its environment; its SDK is installed afterwards."""
    sdk, line = SHIMS[name]
    if sdk:
        install_sdk(sdk)
    return line, {**without_proxy(), "SDKS_NPM": str(NPM)}


if __name__ == "__main__":
    if sys.argv[1:] not in [[name] for name in SHIMS]:
        sys.exit(f"usage: start.py {'|'.join(SHIMS)}")
    try:
        line, environment = command(sys.argv[1])
    except (Trouble, OSError) as why:
        sys.exit(str(why))
    if os.name == "nt":  # its exec leaves the parent without a child to wait for
        sys.exit(subprocess.run(line, env=environment).returncode)
    os.execvpe(line[0], line, environment)
