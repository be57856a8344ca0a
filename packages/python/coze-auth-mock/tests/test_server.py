"""How a mock starts, and how it ends."""

import gc
import os
import signal
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path

import pytest

import coze_auth_mock
from coze_auth_mock import ControlError, StartError

POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and forks are POSIX's")


def answers(base_url: str) -> bool:
    from coze_auth_mock._control import Control

    try:
        return bool(Control(base_url).send("GET", "/health")["ok"])
    except ControlError:
        return False


def ended(base_url: str) -> bool:
    """Waits for the end of a mock, whose only sign is that nothing answers. The bound is a guard."""
    done = threading.Event()
    for _ in range(1000):
        if not answers(base_url):
            return True
        done.wait(0.01)
    return False


TELL = "print(mock.base_url, flush=True)\n"


def child(program: str) -> "subprocess.Popen[str]":
    """A Python that starts a mock, and then does what is given."""
    begin = "import os, sys, signal, coze_auth_mock\nmock = coze_auth_mock.start()\n"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", begin + program], text=True, start_new_session=True, **pipes)


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_a_mock_answers_when_start_returns_and_ends_with_its_with():
    with coze_auth_mock.start() as mock:
        assert answers(mock.base_url)
        assert mock.base_url.startswith("http://127.0.0.1:")
        assert mock.version.count(".") == 2
    assert not answers(mock.base_url)
    mock.stop()  # once more, without harm


def test_two_mocks_know_nothing_of_each_other():
    with coze_auth_mock.start() as one, coze_auth_mock.start() as two:
        one.revoke(one.console_token("pat"))
        assert one.base_url != two.base_url
        assert two.revoke(two.console_token("pat"))


def test_a_mock_that_nobody_holds_ends():
    mock = coze_auth_mock.start()
    base = mock.base_url
    del mock
    gc.collect()
    assert not answers(base)


def test_a_mock_ends_with_its_process():
    with child(f"{TELL}sys.stdin.readline()") as process:
        base = first_line(process)
        assert answers(base)
        process.communicate("\n", timeout=30)
    assert process.returncode == 0
    assert ended(base)


@POSIX
def test_a_mock_ends_with_a_process_that_is_killed():
    with child(f"{TELL}signal.pause()") as process:
        base = first_line(process)
        assert answers(base)
        process.kill()
    assert ended(base)


@POSIX
def test_a_fork_neither_stops_the_mock_nor_keeps_it_alive():
    process = child(f"""
{TELL}
reading, writing = os.pipe()
if os.fork() == 0:
    os.close(writing)
    mock.stop()
    print('fork', flush=True)
    os.read(reading, 1)  # lives on after its parent, up to the end of the test
    os._exit(0)
os.close(reading)
os.set_inheritable(writing, True)
# This process ends, and something else holds the pipe of the fork.
import subprocess
subprocess.Popen(['sleep', '60'], close_fds=False, stdout=subprocess.DEVNULL)
sys.stdin.readline()
mock.control('GET', '/health')
print('alive', flush=True)
sys.stdin.readline()
os.kill(os.getpid(), signal.SIGKILL)
""")
    assert process.stdin and process.stdout
    try:
        base = first_line(process)
        assert first_line(process) == "fork"
        assert answers(base), "the fork has stopped the mock"
        process.stdin.write("\n")
        process.stdin.flush()
        assert first_line(process) == "alive"
        process.stdin.write("\n")
        process.stdin.flush()
        process.wait(timeout=30)
        assert ended(base), "the fork keeps the mock alive"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.stdin.close()
        process.stdout.close()


@POSIX
def test_a_fork_while_a_mock_starts_ends(tmp_path, monkeypatch):
    slow = tmp_path / "slow"
    slow.write_text(f'#!/bin/sh\nsleep 1\nexec "{coze_auth_mock.find_binary()}" "$@"\n')
    slow.chmod(0o755)
    monkeypatch.setenv("COZE_AUTH_MOCK_BIN", str(slow))
    process = child("""
import os, threading, time
import coze_auth_mock
from coze_auth_mock import _server
starts = threading.Thread(target=lambda: coze_auth_mock.start().stop())
starts.start()
while len(_server._RUNNING) < 2:
    time.sleep(0.01)
time.sleep(0.1)  # it waits for the first line
fork = os.fork()
if fork == 0:
    os._exit(0)
os.waitpid(fork, 0)
starts.join()
print('ended', flush=True)
""")
    try:
        said, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert said == "ended\n"


@POSIX
def test_ctrl_c_is_for_the_tests_and_not_for_their_mock():
    process = child(f"""
try:
    {TELL}
    signal.pause()
except KeyboardInterrupt:
    print(mock.control('GET', '/health')['ok'], flush=True)
""")
    base = first_line(process)
    os.killpg(process.pid, signal.SIGINT)
    assert first_line(process) == "True"
    process.communicate(timeout=30)
    assert ended(base)


def test_no_mock_is_left_unreaped():
    with coze_auth_mock.start() as mock:
        process = mock._process.child
    assert process.returncode == 0


def test_the_command_is_found_by_the_variable_then_in_the_wheel_then_on_the_path(tmp_path, monkeypatch):
    here = coze_auth_mock.find_binary()
    name = Path(here).name
    elsewhere, on_path = tmp_path / "named" / name, tmp_path / "path" / name
    for program in (elsewhere, on_path):
        program.parent.mkdir()
        program.write_bytes(b"")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(on_path.parent))
    monkeypatch.setenv("COZE_AUTH_MOCK_BIN", str(elsewhere))
    assert coze_auth_mock.find_binary() == str(elsewhere)
    monkeypatch.delenv("COZE_AUTH_MOCK_BIN")
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    monkeypatch.setattr(sysconfig, "get_path", lambda *_: str(scripts))
    assert coze_auth_mock.find_binary() == str(on_path)
    (scripts / name).write_bytes(b"")
    assert coze_auth_mock.find_binary() == str(scripts / name)


def test_a_command_that_is_not_there_is_told_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(sysconfig, "get_path", lambda *_: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("COZE_AUTH_MOCK_BIN", raising=False)
    with pytest.raises(StartError, match="name the program in the variable COZE_AUTH_MOCK_BIN"):
        coze_auth_mock.start()
    monkeypatch.setenv("COZE_AUTH_MOCK_BIN", str(tmp_path / "gone"))
    with pytest.raises(StartError, match="gone, which is not a program: correct it, or unset it"):
        coze_auth_mock.start()


@POSIX
def test_what_is_not_a_mock_is_told_by_what_it_said(tmp_path, monkeypatch):
    program = tmp_path / "other"
    program.write_text("#!/bin/sh\necho hello\necho 'no mock here' >&2\n")
    program.chmod(0o755)
    monkeypatch.setenv("COZE_AUTH_MOCK_BIN", str(program))
    with pytest.raises(StartError, match="did not start: no mock here"):
        coze_auth_mock.start()
    program.write_text("#!/bin/sh\necho '[]'\n")
    with pytest.raises(StartError, match=r"it printed b'\[\]"):
        coze_auth_mock.start()
    program.write_bytes(b"\x7fELF")
    with pytest.raises(StartError, match="does not start"):
        coze_auth_mock.start()


def test_a_configuration_is_a_text_or_a_file(tmp_path):
    text = '[[app]]\nkind = "web"\nclient_id = "app_web"\nclient_secret = "sec"\nredirect_uris = ["http://localhost:*/*"]\n'
    file = tmp_path / "mock.toml"
    file.write_text(text)
    for config in (text, file):
        with coze_auth_mock.start(config=config) as mock:
            assert [(app.kind, app.client_id, app.client_secret) for app in mock.apps()] == [("web", "app_web", "sec")]
            with pytest.raises(LookupError, match="no app of the kind jwt; it has web"):
                mock.app("jwt")


def test_a_configuration_that_is_refused_is_told_in_the_words_of_the_mock():
    with pytest.raises(StartError, match='did you mean "code.single_use"'):
        coze_auth_mock.start(config='[rules]\ncode.singel_use = "off"\n')


def test_options_are_those_of_the_command():
    with coze_auth_mock.start(seed=7, consent="deny", rules={"code.single_use": False}) as mock:
        fidelity = {rule["id"]: rule["on"] for rule in mock.control("GET", "/fidelity")["rules"]}
        assert fidelity["code.single_use"] is False
        assert fidelity["refresh.rotate"] is True


def test_a_seed_makes_tokens_repeatable():
    def first() -> str:
        with coze_auth_mock.start(seed=7) as mock:
            mock.make_world("w", clock="2026-01-01T00:00:00Z")
            world = mock.world("w")
            app = world.app("web")
            url = f"{world.base_url}/api/permission/oauth2/authorize?client_id={app.client_id}&response_type=code"
            return world.authorize(f"{url}&redirect_uri=https://app.example/callback&state=s").replace(mock.base_url, "")

    assert first() == first()
    assert "code=code_mock_" in first()


def test_variables_of_this_process_do_not_reach_the_mock(monkeypatch):
    monkeypatch.setenv("COZE_AUTH_MOCK_PUBLIC_URL", "http://mock.example:1")
    monkeypatch.setenv("COZE_AUTH_MOCK_ADMIN_TOKEN", "secret")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with coze_auth_mock.start() as mock:
        assert mock.info()["base_url"] == mock.base_url


def test_https_has_a_ca_of_its_own():
    import ssl
    import urllib.request

    with coze_auth_mock.start(tls=True) as mock:
        assert mock.base_url.startswith("https://") and mock.ca_pem
        assert mock.world("a").info()["base_url"] == f"{mock.base_url}/t/a"
        trusting = ssl.create_default_context(cadata=mock.ca_pem)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusting))
        with opener.open(f"{mock.base_url}/_mock/v1/health") as reply:
            assert reply.status == 200
    with coze_auth_mock.start() as mock:
        assert mock.ca_pem is None


def test_the_log_is_kept(monkeypatch):
    monkeypatch.setenv("RUST_LOG", "info")
    with coze_auth_mock.start() as mock:
        import urllib.request

        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(f"{mock.base_url}/v1/users/me", headers={"Authorization": "Bearer pat_mock_alice"})
        opener.open(request).close()
        assert 'path="/v1/users/me" status=200' in mock.log


@POSIX
def test_a_log_that_is_read_meanwhile_is_whole(monkeypatch):
    monkeypatch.setenv("RUST_LOG", "info")
    with coze_auth_mock.start() as mock:
        done = threading.Event()

        def read():
            while not done.is_set():
                mock.log

        reader = threading.Thread(target=read)
        reader.start()
        for number in range(200):
            answers(f"{mock.base_url}/request-{number:03}")
        done.set()
        reader.join()
    missing = [number for number in range(200) if f"/request-{number:03}" not in mock.log]
    assert missing == []


def test_a_name_of_a_world_is_a_name_whatever_it_holds():
    with coze_auth_mock.start() as mock:
        mock.make_world("a")
        for name in ("a?x=1", "a#b", "a b", "a\nb", "\u4e16\u754c", "../a"):
            assert mock.remove_world(name) is False
            with pytest.raises(ControlError) as error:
                mock.world(name).requests()
            assert "has ended" not in str(error.value)
        assert mock.remove_world("a") is True


def test_a_control_that_nobody_answers_says_so():
    with coze_auth_mock.start() as mock:
        pass
    with pytest.raises(ControlError, match="the mock does not answer at http://127.0.0.1:[0-9]+, so it has ended") as told:
        mock.requests()
    assert told.value.status is None
