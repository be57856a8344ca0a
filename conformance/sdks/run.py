#!/usr/bin/env python3
"""The official SDKs judge the mock server. See README.md; `run.py --help` for the options."""

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import namedtuple
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORKSPACE = HERE.parents[1]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or WORKSPACE / "target").resolve()
SDKS = TARGET / "sdks"
VENV = SDKS / "venv"
NPM = SDKS / "npm"
EXE = ".exe" if os.name == "nt" else ""
VENV_PYTHON = VENV / ("Scripts" if os.name == "nt" else "bin") / f"python{EXE}"

RULES = WORKSPACE / "mock-server" / "rules.toml"
# Rules with a switch that no call of these SDKs can break.
OUT_OF_REACH = {
    "device.client": "takes two device apps, and the mock has one",
    "jwt.exp_after_iat": "both SDKs fix exp at an hour after iat",
}
START_SECONDS = 20
RUN_SECONDS = 180

Sdk = namedtuple("Sdk", "name command")
SDK = {
    "cozepy": Sdk("cozepy", [str(VENV_PYTHON), "-B", str(HERE / "cozepy_cases.py")]),
    "js": Sdk("@coze/api", ["node", str(HERE / "coze_api_cases.mjs")]),
}


class Trouble(Exception):
    """The run could not be made: no verdict about the mock."""


def without_proxy():
    """Loopback never goes through a proxy, and both SDKs obey the proxy variables."""
    return {k: v for k, v in os.environ.items() if k.lower() not in ("http_proxy", "https_proxy", "all_proxy")}


# --- the SDKs ------------------------------------------------------------------------------------


def install(folder, inputs, *commands):
    """Runs the commands unless the folder was filled from the same inputs before."""
    stamp = folder / "installed-from"
    wanted = hashlib.sha256(sys.version.encode() + b"".join((HERE / name).read_bytes() for name in inputs)).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in inputs:
        shutil.copy(HERE / name, folder)
    for command in commands:
        print("installing:", *command, flush=True)
        if subprocess.run(command, cwd=folder).returncode:
            raise Trouble(f"could not install the SDK: {' '.join(command)}")
    stamp.write_text(wanted)


def install_sdk(which):
    if which == "cozepy":
        install(
            VENV,
            ["requirements.txt"],
            [sys.executable, "-m", "venv", str(VENV)],
            [str(VENV_PYTHON), "-m", "pip", "--disable-pip-version-check", "install", "-q", "-r", "requirements.txt"],
        )
    else:
        npm, node = shutil.which("npm"), shutil.which("node")
        if not npm or not node:
            raise Trouble("node and npm are needed for @coze/api (or run with --only cozepy)")
        install(NPM, ["package.json", "package-lock.json"], [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"])


# --- the mock ------------------------------------------------------------------------------------


def find_mock(given):
    if given:
        return Path(given).resolve()
    if subprocess.run(["cargo", "build", "--locked", "-p", "coze-auth-mock"], cwd=WORKSPACE).returncode:
        raise Trouble("the mock server does not build")
    return TARGET / "debug" / f"coze-auth-mock{EXE}"


@contextmanager
def running_mock(binary, broken):
    """The mock on a free port, with one rule off or none; always stopped. Gives its first line."""
    command = [str(binary), "--listen", "127.0.0.1:0", "--print", "json"]
    if broken:
        command += ["--rule", f"{broken}=off"]
    log = SDKS / "mock.log"
    with log.open("wb") as stderr:
        mock = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, env=without_proxy())
        # A mock that says nothing must not hang the run.
        alarm = threading.Timer(START_SECONDS, mock.kill)
        alarm.start()
        try:
            line = mock.stdout.readline().decode()
            alarm.cancel()
            if '"base_url"' not in line:
                said = log.read_text(errors="replace").strip()
                raise Trouble(f"the mock did not start: {' '.join(command)}\n{line}{said}")
            yield line
        finally:
            alarm.cancel()
            mock.terminate()
            try:
                mock.wait(10)
            except subprocess.TimeoutExpired:
                mock.kill()
                mock.wait()
            mock.stdout.close()


def breakable_rules():
    """Rules that are on unless switched off. (Python 3.9 has no TOML reader; the table needs none.)"""
    rules = []
    for block in RULES.read_text(encoding="utf-8").split("[[rule]]")[1:]:
        fields = dict(line.split(" = ", 1) for line in block.splitlines() if " = " in line)
        if fields["switch"] == "true" and fields.get("default") != "false":
            rules.append(fields["id"].strip('"'))
    return [rule for rule in rules if rule not in OUT_OF_REACH]


# --- runs ----------------------------------------------------------------------------------------

Result = namedtuple("Result", "red closing")


def judge(which, binary, broken=None, quiet=False):
    """One run of one SDK's cases: the names of those that are red, and the closing line."""
    with running_mock(binary, broken) as info:
        try:
            done = subprocess.run(
                SDK[which].command,
                input=info.encode(),
                stdout=subprocess.PIPE,
                timeout=RUN_SECONDS,
                env={**without_proxy(), "SDKS_NPM": str(NPM), "PYTHONIOENCODING": "utf-8"},
            )
        except subprocess.TimeoutExpired as late:
            said = (late.stdout or b"").decode()
            raise Trouble(f"{SDK[which].name}: no end after {RUN_SECONDS} s; it had said:\n{said}") from None
    lines = done.stdout.decode().splitlines()
    if not quiet:
        print(*lines, sep="\n", flush=True)
    green = sum(line.startswith("ok ") for line in lines)
    red = [line.split()[1] for line in lines if line.startswith("FAIL ")]
    closing = lines[-1] if lines else ""
    # A driver that dies half-way has given no verdict, and neither has one whose count is not its cases.
    counted = closing.endswith(f": {green} passed, {len(red)} failed") and green + len(red) > 0
    if not counted or done.returncode != (1 if red else 0):
        raise Trouble(f"{SDK[which].name}: the driver ended without a verdict (exit code {done.returncode})")
    return Result(red, closing)


def run_once(chosen, binary, broken):
    results = [judge(which, binary, broken) for which in chosen]
    print(*(result.closing for result in results), sep="\n")
    return not any(result.red for result in results)


def break_all(chosen, binary):
    """Each rule off in turn; true if each turned a case red. Nothing counts unless all is green with every rule on."""
    for which in chosen:
        whole = judge(which, binary, quiet=True)
        print(whole.closing, flush=True)
        if whole.red:
            print("red with every rule on:", *whole.red)
            return False
    print("\n| rule switched off | SDK | cases turned red |\n|---|---|---|", flush=True)
    rules, unseen = breakable_rules(), []
    for rule in rules:
        seen = False
        for which in chosen:
            red = judge(which, binary, rule, quiet=True).red
            seen = seen or bool(red)
            print(f"| {rule} | {SDK[which].name} | {', '.join(red) or 'none'} |", flush=True)
        if not seen:
            unseen.append(rule)
    for rule, why in OUT_OF_REACH.items():
        print(f"| {rule} | neither | out of reach: {why} |")
    print(f"\n{len(rules) - len(unseen)} of {len(rules)} rules turned a case red when switched off")
    if unseen:
        print("not seen by any SDK:", *unseen)
    return not unseen


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mock", metavar="PATH", help="binary of the mock server; built with cargo if not given")
    parser.add_argument("--only", choices=SDK, help="one SDK instead of both")
    parser.add_argument(
        "--break",
        dest="broken",
        metavar="RULE",
        help="switch this rule of the mock off: the run must turn red; `all`: each in turn, as a table",
    )
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as an exception, so that the mock is stopped
    chosen = [given.only] if given.only else list(SDK)
    try:
        binary = find_mock(given.mock)
        for which in chosen:
            install_sdk(which)
        good = break_all(chosen, binary) if given.broken == "all" else run_once(chosen, binary, given.broken)
    except (Trouble, OSError) as why:
        print(f"no verdict: {why}", file=sys.stderr)
        return 2
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
