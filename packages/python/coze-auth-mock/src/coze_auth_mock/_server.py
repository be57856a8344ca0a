"""A mock as a process of its own: finds the binary, starts it and ends it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
import weakref
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Dict, Iterator, List, Mapping, Optional, Type, Union
from urllib.parse import quote

from ._control import Control, ca_of
from ._errors import StartError
from ._literals import Consent
from ._specs import Seconds, milliseconds
from ._world import MockWorld

_BINARY = "coze-auth-mock"
_EXE = ".exe" if os.name == "nt" else ""
# A guard only: it starts within milliseconds.
_START_SECONDS = 30
_STOP_SECONDS = 10
# The mock would take them for its own, and this module could not control it any more.
_NOT_OURS = ("COZE_AUTH_MOCK_PUBLIC_URL", "COZE_AUTH_MOCK_ADMIN_TOKEN")


def find_binary() -> str:
    """The path of the command `coze-auth-mock`: what `COZE_AUTH_MOCK_BIN` names, else that of the wheel, else that of `PATH`."""
    named = os.environ.get("COZE_AUTH_MOCK_BIN")
    if named:
        found = shutil.which(named)
        if found is None:
            raise StartError(f"COZE_AUTH_MOCK_BIN names {named}, which is not a program: correct it, or unset it")
        return found
    for folder in _script_folders():
        program = os.path.join(folder, _BINARY + _EXE)
        if os.path.isfile(program):
            return program
    found = shutil.which(_BINARY)
    if found is None:
        raise StartError(
            f"the command {_BINARY} is not beside this Python nor on PATH: install the wheel again, or name the program in"
            " the variable COZE_AUTH_MOCK_BIN"
        )
    return found


def _script_folders() -> Iterator[str]:
    """Where a wheel puts its commands."""
    yield sysconfig.get_path("scripts")
    # pip install --user
    user = sysconfig.get_preferred_scheme("user") if sys.version_info >= (3, 10) else f"{os.name}_user"
    yield sysconfig.get_path("scripts", user)
    # pip install --target
    yield str(Path(__file__).resolve().parents[1] / "bin")


def start(
    *,
    config: Union[str, "os.PathLike[str]", None] = None,
    consent: Optional[Consent] = None,
    seed: Optional[int] = None,
    rules: Optional[Mapping[str, bool]] = None,
    tls: bool = False,
    listen: str = "127.0.0.1:0",
) -> CozeAuthMock:
    """Starts a mock of its own, on a free port. It ends with `stop`, with the `with` in which it stands, and with this process,
    however that ends.

    `config` is a configuration as a text in TOML, or the path of a file (a `Path`). `consent` decides about authorize requests
    and device codes in the place of a person. `seed` makes ids and tokens repeatable. `rules` turns rules off or on. `tls` serves
    https, with a CA of its own, which is `ca_pem`.

    `StartError` if the command is not found or refuses its settings; its text says why.
    """
    options = ["serve", "--listen", listen, "--print", "json", "--until-stdin-closes"]
    if consent is not None:
        options += ["--consent", consent]
    if seed is not None:
        options += ["--seed", str(seed)]
    for rule, on in (rules or {}).items():
        options += ["--rule", f"{rule}={'on' if on else 'off'}"]
    if tls:
        options += ["--tls", "self"]
    if config is None:
        return CozeAuthMock(_Process(options))
    if not isinstance(config, str):
        return CozeAuthMock(_Process([*options, "--config", os.fspath(config)]))
    with tempfile.TemporaryDirectory(prefix="coze-auth-mock-") as folder:
        file = Path(folder, "coze-auth-mock.toml")
        file.write_text(config, encoding="utf-8")
        return CozeAuthMock(_Process([*options, "--config", str(file)]))


class _Process:
    """The process, and the pipe at whose end it ends."""

    def __init__(self, options: List[str]) -> None:
        command = [find_binary(), *options]
        environment = {name: value for name, value in os.environ.items() if name not in _NOT_OURS}
        # The journal tells of requests; the log only of what goes wrong with the mock itself.
        environment.setdefault("RUST_LOG", "warn")
        self.log: IO[bytes] = tempfile.TemporaryFile()
        # Ctrl-C is for this process, which may have questions to the mock while it ends.
        group: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
        try:
            self.child: subprocess.Popen[bytes] = subprocess.Popen(
                command,
                # Without buffers, whose locks a fork may never get: another thread has them while a mock starts.
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.log,
                env=environment,
                start_new_session=os.name == "posix",
                creationflags=group,
            )
        except OSError as error:
            self.log.close()
            raise StartError(f"{command[0]} does not start: {error}") from error
        assert self.child.stdin and self.child.stdout
        self.stdin: IO[bytes] = self.child.stdin
        self.stdout: IO[bytes] = self.child.stdout
        _RUNNING.add(self)
        alarm = threading.Timer(_START_SECONDS, self.child.kill)
        alarm.daemon = True
        alarm.start()
        try:
            # It listens before it prints.
            line = self.stdout.readline()
        finally:
            alarm.cancel()
        try:
            self.info: Dict[str, Any] = json.loads(line)
            self.info["base_url"]
        except (ValueError, KeyError, TypeError):
            self.stop()
            said = self.logged().strip() or f"it printed {line[:200]!r}"
            raise StartError(f"{command[0]} did not start: {said}") from None

    def logged(self) -> str:
        if not self.log.closed:
            self._said = self._read_log().decode(errors="replace")
        return self._said

    def _read_log(self) -> bytes:
        if hasattr(os, "pread"):
            # The place in the file is the mock's as well, which goes on writing there.
            file = self.log.fileno()
            return os.pread(file, os.fstat(file).st_size, 0)
        self.log.seek(0)
        return self.log.read()

    def stop(self) -> None:
        _RUNNING.discard(self)
        for pipe in (self.stdin, self.stdout):
            pipe.close()
        try:
            self.child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.logged()
        self.log.close()

    def leave(self) -> None:
        """In a fork, which is not to keep the mock alive after its owner, nor to stop it."""
        for pipe in (self.stdin, self.stdout):
            pipe.close()
        # So that nothing of this process waits for a child that is not its own.
        self.child.returncode = 0


_RUNNING: "weakref.WeakSet[_Process]" = weakref.WeakSet()


def _leave_all() -> None:
    for process in list(_RUNNING):
        process.leave()
    _RUNNING.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_all)


class CozeAuthMock(MockWorld):
    """A running mock, which `start` gives. It is its first world, too, which is at `/`: see `MockWorld`."""

    def __init__(self, process: _Process) -> None:
        self._process = process
        base = process.info["base_url"]
        ca_pem = ca_of(base) if base.startswith("https:") else None
        super().__init__(Control(base, ca_pem), None)
        # Also for a mock that nobody stops.
        self._stop = weakref.finalize(self, process.stop)

    @property
    def version(self) -> str:
        """The version of the mock."""
        return str(self._process.info["version"])

    @property
    def ca_pem(self) -> Optional[str]:
        """The certificate, in PEM, of the CA that `tls` made; clients have to trust it. None without TLS."""
        return self._control.ca_pem

    @property
    def log(self) -> str:
        """What the mock has said on standard error: what goes wrong with it, and with `RUST_LOG=info` a line per request."""
        return self._process.logged()

    def world(self, name: str) -> MockWorld:
        """The world at `/t/{name}`, with apps, tokens, clock, journal, gates and faults of its own. The mock makes it at its first
        request, with the mock's settings."""
        return MockWorld(self._control.at(f"{self.base_url}/t/{quote(name, safe='')}"), name)

    def make_world(
        self,
        name: str,
        *,
        config: Optional[str] = None,
        seed: Optional[int] = None,
        clock: Optional[str] = None,
        ttl: Optional[Seconds] = None,
        port: Optional[int] = None,
    ) -> MockWorld:
        """Makes a world with settings of its own, and removes an earlier world of that name. `config` is TOML; `clock` a time such
        as `2026-01-01T00:00:00Z`, at which the clock then stands; `ttl` how long of the machine's time the world is kept unused, in
        whole seconds, so a part counts as one; `port` 0 gives it a free port of its own."""
        given = {"config": config, "seed": seed, "clock": clock, "port": port}
        body: Dict[str, Any] = {"name": name, **{key: value for key, value in given.items() if value is not None}}
        if ttl is not None:
            body["ttl_s"] = -(-milliseconds(ttl) // 1000)
        made = self._control.send("POST", "/worlds", body)
        world = MockWorld(self._control.at(made["base_url"]), name)
        world._port_url = made.get("port_url")
        return world

    def remove_world(self, name: str) -> bool:
        """Removes the world at `/t/{name}` and ends it. Returns false if there is none."""
        return self._known("DELETE", f"/worlds/{quote(name, safe='')}")

    def stop(self) -> None:
        """Stops the mock, and waits until it has ended. Nothing happens if it has."""
        self._stop()

    def __enter__(self) -> CozeAuthMock:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], where: Optional[TracebackType]
    ) -> None:
        self.stop()
