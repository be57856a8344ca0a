"""The mock server, built and running."""

import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "conformance" / "released-sdks"))
from install import EXE, SDKS, TARGET, WORKSPACE, Trouble, without_proxy  # noqa: E402

START_SECONDS = 20


def clean(**more):
    """The environment without a proxy and without any variable of Coze's."""
    kept = {name: value for name, value in without_proxy().items() if not name.startswith("COZE")}
    return {**kept, **more}


def find_mock(given):
    if given:
        return Path(given).resolve()
    if subprocess.run(["cargo", "build", "--locked", "-p", "coze-auth-mock"], cwd=WORKSPACE).returncode:
        raise Trouble("the mock server does not build")
    return TARGET / "debug" / f"coze-auth-mock{EXE}"


def running_mock(binary, *options, listen="127.0.0.1:0"):
    """The mock, by default on a free port. Gives its first line."""
    return running("mock", [str(binary), "--listen", listen, "--print", "json", "--until-stdin-closes", *options])


@contextmanager
def running(name, command):
    """A server that prints a line of JSON with its address; always stopped, also when this process is killed. Gives that line."""
    SDKS.mkdir(parents=True, exist_ok=True)
    log = SDKS / f"{name}.log"
    with log.open("wb") as stderr:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        server = subprocess.Popen(command, **pipes, stderr=stderr, env=without_proxy())
        # One that says nothing must not hang the run.
        alarm = threading.Timer(START_SECONDS, server.kill)
        alarm.start()
        try:
            line = server.stdout.readline().decode()
            alarm.cancel()
            if '"base_url"' not in line:
                said = log.read_text(errors="replace").strip()
                raise Trouble(f"the mock did not start: {' '.join(command)}\n{line}{said}")
            yield line
        finally:
            alarm.cancel()
            server.stdin.close()
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            server.stdout.close()
