"""What a run stands on: the SDKs, installed, and the mock, running."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
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

START_SECONDS = 20


class Trouble(Exception):
    """The run could not be made: no verdict about the mock."""


def without_proxy():
    """Loopback never goes through a proxy, and both SDKs obey the proxy variables."""
    return {k: v for k, v in os.environ.items() if k.lower() not in ("http_proxy", "https_proxy", "all_proxy")}


# --- the SDKs ------------------------------------------------------------------------------------


def install(folder, inputs, *commands):
    """Runs the commands unless the folder was filled from the same inputs before. Says so on standard error."""
    stamp = folder / "installed-from"
    wanted = hashlib.sha256(sys.version.encode() + b"".join(path.read_bytes() for path in inputs)).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in inputs:
        shutil.copy(path, folder)
    for command in commands:
        print("installing:", *command, file=sys.stderr, flush=True)
        if subprocess.run(command, cwd=folder, stdout=sys.stderr).returncode:
            raise Trouble(f"could not install the SDK: {' '.join(command)}")
    stamp.write_text(wanted)


def install_python(folder, requirements):
    """A virtual environment with these requirements; gives its interpreter."""
    python = folder / ("Scripts" if os.name == "nt" else "bin") / f"python{EXE}"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-q", "-r", requirements.name]
    install(folder, [requirements], [sys.executable, "-m", "venv", str(folder)], pip)
    return python


def install_sdk(which):
    if which == "cozepy":
        install_python(VENV, HERE / "requirements.txt")
    else:
        npm, node = shutil.which("npm"), shutil.which("node")
        if not npm or not node:
            raise Trouble("node and npm are needed for @coze/api (or run with --only cozepy)")
        inputs = [HERE / "package.json", HERE / "package-lock.json"]
        install(NPM, inputs, [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"])


# --- the mock ------------------------------------------------------------------------------------


def find_mock(given):
    if given:
        return Path(given).resolve()
    if subprocess.run(["cargo", "build", "--locked", "-p", "coze-auth-mock"], cwd=WORKSPACE).returncode:
        raise Trouble("the mock server does not build")
    return TARGET / "debug" / f"coze-auth-mock{EXE}"


@contextmanager
def running_mock(binary, *options):
    """The mock on a free port; always stopped. Gives its first line."""
    command = [str(binary), "--listen", "127.0.0.1:0", "--print", "json", *options]
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
