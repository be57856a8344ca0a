"""The pytest plugin: a mock for a session, a world for a test, and the journal in the report of a test that fails.

With pytest-xdist each worker has a mock of its own: it starts in milliseconds, and nothing has to be shared or agreed upon.
"""

from __future__ import annotations

import hashlib
import re
import threading
from typing import Any, Dict, Generator, Optional, Set

import pytest

from ._errors import ControlError
from ._server import CozeAuthMock, start
from ._world import MockWorld

_MOCK: pytest.StashKey[CozeAuthMock] = pytest.StashKey()
_WORLD: pytest.StashKey[MockWorld] = pytest.StashKey()
_MARK = "coze_world"


class _Names:
    """The names of worlds that are in use. A test has the same name in each run, so with a seed it has the same tokens."""

    def __init__(self) -> None:
        self._used: Set[str] = set()
        self._lock = threading.Lock()

    def take(self, nodeid: str, title: str) -> str:
        words = re.sub(r"[^A-Za-z0-9]+", "-", title)[:24].strip("-")
        name = f"pytest-{words}-{hashlib.sha256(nodeid.encode()).hexdigest()[:8]}"
        with self._lock:
            # Where threads run a test beside itself.
            number = 1
            while (free := name if number == 1 else f"{name}-{number}") in self._used:
                number += 1
            self._used.add(free)
        return free

    def give_back(self, name: str) -> None:
        with self._lock:
            self._used.discard(name)


_NAMES = _Names()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{_MARK}(config=…, clock=…, seed=…, port=…): settings of the test's world, as of `CozeAuthMock.make_world`",
    )


@pytest.fixture(scope="session")
def coze_auth_mock_options() -> Dict[str, Any]:
    """Options of `coze_auth_mock.start` for the mock of the session. Define a fixture of this name in conftest.py to set some."""
    return {}


@pytest.fixture(scope="session")
def coze_auth_mock(
    coze_auth_mock_options: Dict[str, Any], pytestconfig: pytest.Config
) -> CozeAuthMock:
    """A running mock, for the whole session. A test that changes something takes `coze_world`."""
    mock = start(**coze_auth_mock_options)
    # Not at the end of the fixture: the report of the last test comes after it.
    pytestconfig.add_cleanup(mock.stop)
    pytestconfig.stash[_MOCK] = mock
    return mock


@pytest.fixture
def coze_world(coze_auth_mock: CozeAuthMock, request: pytest.FixtureRequest) -> MockWorld:
    """A world of the mock for this test alone. `@pytest.mark.coze_world(clock="2026-01-01T00:00:00Z")` sets it up."""
    settings: Dict[str, Any] = {}
    # The mark nearest to the test counts.
    for mark in reversed(list(request.node.iter_markers(_MARK))):
        if mark.args:
            raise pytest.UsageError(f"the mark {_MARK} takes names: config=…, clock=…, seed=…, port=…")
        settings.update(mark.kwargs)
    name = _NAMES.take(request.node.nodeid, request.node.name)
    try:
        world = coze_auth_mock.make_world(name, **settings)
    except BaseException:
        _NAMES.give_back(name)
        raise
    request.node.stash[_WORLD] = world
    return world


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    outcome = yield
    report: pytest.TestReport = outcome.get_result()
    world = item.stash.get(_WORLD, None)
    if report.failed:
        _add_journal(item, report, world)
    # Not at the end of the fixture, since those that rest on the world may fail at theirs.
    if report.when == "teardown" and world is not None:
        del item.stash[_WORLD]
        _remove(item, world)


def _add_journal(item: pytest.Item, report: pytest.TestReport, world: Optional[MockWorld]) -> None:
    shown = world
    if shown is None and "coze_auth_mock" in getattr(item, "fixturenames", ()):
        shown = item.config.stash.get(_MOCK, None)
    if shown is None:
        return
    try:
        text = shown.report()
    except ControlError as error:
        text = str(error)
    report.sections.append(("coze-auth-mock journal", text))


def _remove(item: pytest.Item, world: MockWorld) -> None:
    name = world.name or ""
    try:
        item.config.stash[_MOCK].remove_world(name)
    except ControlError:
        # A mock that has ended is told by the next test that needs it.
        pass
    finally:
        _NAMES.give_back(name)
