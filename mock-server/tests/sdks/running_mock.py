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
