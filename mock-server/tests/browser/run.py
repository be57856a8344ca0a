#!/usr/bin/env python3
"""The mock's pages, and the login of the command `coze-auth`, in a real Chromium. See README.md; `run.py --help` for the options."""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "conformance" / "released-sdks"))
from install import TARGET, WORKSPACE, Trouble, coze_api, install_npm, without_proxy  # noqa: E402

SCREENSHOTS = WORKSPACE / "docs" / "screenshots"
RUN_SECONDS = 300


def run(*command, **options):
    print("running:", *command, flush=True)
    if subprocess.run(command, **options).returncode:
        raise Trouble(f"this failed: {' '.join(command)}")


def chromium():
    """The browser, installed on Debian and Ubuntu if it is missing; the CJK font is for screenshots."""
    names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found:
        return found
    if not shutil.which("apt-get"):
        raise Trouble("no Chromium: install it, or set CHROMIUM to its path")
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if root and not shutil.which("sudo"):
        raise Trouble("no Chromium, and no right to install it: run `apt-get install chromium fonts-noto-cjk` as root")
    run(*root, "apt-get", "update", "-q")
    run(*root, "apt-get", "install", "-q", "-y", "--no-install-recommends", "chromium", "fonts-noto-cjk")
    found = shutil.which("chromium")
    if not found:
        raise Trouble("apt-get installed no Chromium; set CHROMIUM to the path of one")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mock", metavar="PATH", help="binary of the mock server; built with cargo if not given")
    parser.add_argument("--screenshots", action="store_true", help="writes docs/screenshots instead of testing")
    parser.add_argument("--only", metavar="TEXT", help="only the cases whose name has this text")
    given = parser.parse_args()
    try:
        browser = chromium()
        packages = install_npm(TARGET / "browser", HERE / "package-lock.json")
        built = ["-p", "coze-auth-cli"] + ([] if given.mock else ["-p", "coze-auth-mock"])
        run("cargo", "build", "--quiet", "--locked", *built, cwd=WORKSPACE)
        env = without_proxy()
        env["CHROMIUM"] = browser
        env["MOCK"] = str(Path(given.mock).resolve() if given.mock else TARGET / "debug" / "coze-auth-mock")
        env["COMMAND"] = str(TARGET / "debug" / "coze-auth")
        env["PACKAGES"] = str(packages)
        env["RELEASED_SDKS_NPM"] = str(coze_api())
        env["SCREENSHOTS"] = str(SCREENSHOTS)
        env["ONLY"] = given.only or ""
        script = "screenshots.mjs" if given.screenshots else "cases.mjs"
        return subprocess.run(["node", str(HERE / script)], env=env, timeout=RUN_SECONDS).returncode
    except (Trouble, OSError, subprocess.TimeoutExpired) as why:
        print(f"no verdict: {why}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
