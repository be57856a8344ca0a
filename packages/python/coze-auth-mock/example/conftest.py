import time

import coze_session
import cozepy.auth
import pytest
from cozepy import DeviceOAuthApp, JWTOAuthApp, WebOAuthApp


@pytest.fixture(autouse=True)
def time_of_the_world(coze_world, monkeypatch):
    """Client and mock read one clock, and a pause of the client moves it. Nobody waits."""
    coze_world.clock.freeze()
    for module in (cozepy.auth, coze_session):
        assert module.time is time
        monkeypatch.setattr(module, "time", coze_world.clock)


@pytest.fixture(autouse=True)
def nothing_leaks(coze_world):
    yield
    assert coze_world.leaks() == []


@pytest.fixture
def web(coze_world):
    app = coze_world.app("web")
    return WebOAuthApp(app.client_id, app.client_secret, base_url=coze_world.base_url)


@pytest.fixture
def device_app(coze_world):
    return DeviceOAuthApp(coze_world.app("device").client_id, base_url=coze_world.base_url)


@pytest.fixture
def jwt(coze_world):
    app = coze_world.app("jwt")
    return JWTOAuthApp(app.client_id, app.private_key, app.key_id, base_url=coze_world.base_url)
