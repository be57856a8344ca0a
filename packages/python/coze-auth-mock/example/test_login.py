"""Logins of people, devices and services, on good days and bad ones."""

from urllib.parse import parse_qs, urlsplit

import cozepy
import pytest
from cozepy import Coze, CozeAPIError, CozePKCEAuthError, JWTAuth, TokenAuth
from coze_auth_mock import AuthorizeError, Expect, Fault, On, RequestFilter, ScriptStep

CALLBACK = "https://app.example/callback"


def name_of(coze_world, token):
    return Coze(auth=TokenAuth(token), base_url=coze_world.base_url).users.me().user_name


def back_from(coze_world, url, **decision):
    """What the browser brings back to the app."""
    redirect = coze_world.authorize(url, **decision)
    return {name: values[0] for name, values in parse_qs(urlsplit(redirect).query).items()}


# --- a person at a browser


def test_a_person_logs_in(coze_world, web):
    back = back_from(coze_world, web.get_oauth_url(CALLBACK, state="s1"))
    assert back["state"] == "s1"
    token = web.get_access_token(CALLBACK, back["code"])
    assert name_of(coze_world, token.access_token) == "alice"


def test_a_person_says_no(coze_world, web):
    back = back_from(coze_world, web.get_oauth_url(CALLBACK, state="s1"), approve=False)
    assert back["error"] == "access_denied" and "code" not in back


def test_a_code_works_once(coze_world, web):
    code = back_from(coze_world, web.get_oauth_url(CALLBACK))["code"]
    web.get_access_token(CALLBACK, code)
    with pytest.raises(CozeAPIError):
        web.get_access_token(CALLBACK, code)
    coze_world.verify(Expect.exactly(1, RequestFilter.any().rule("code.single_use")))


def test_a_code_expires(coze_world, web):
    code = back_from(coze_world, web.get_oauth_url(CALLBACK))["code"]
    coze_world.clock.advance(3600)
    with pytest.raises(CozeAPIError) as refused:
        web.get_access_token(CALLBACK, code)
    assert coze_world.explain(refused.value.logid).rule == "code.expiry"


def test_a_callback_that_is_not_registered_is_seen_before_anybody_logs_in(coze_world, web):
    with pytest.raises(AuthorizeError) as refused:
        coze_world.authorize(web.get_oauth_url("https://elsewhere.example/callback"))
    assert refused.value.explanation.rule == "authorize.redirect_uri"


def test_a_secret_that_was_changed_is_told(coze_world):
    app = cozepy.WebOAuthApp(coze_world.app("web").client_id, "an old secret", base_url=coze_world.base_url)
    code = back_from(coze_world, app.get_oauth_url(CALLBACK))["code"]
    with pytest.raises(CozeAPIError) as refused:
        app.get_access_token(CALLBACK, code)
    assert coze_world.explain(refused.value.logid).rule == "client.secret"


# --- a device without a browser


def test_a_device_waits_for_its_person(coze_world, device_app):
    device = device_app.get_device_code()
    coze_world.decide_device(device.user_code, "approve")
    token = device_app.get_access_token(device.device_code, poll=True)
    assert name_of(coze_world, token.access_token) == "alice"


def test_a_device_asks_again_until_the_person_has_decided(coze_world, device_app):
    device = device_app.get_device_code()
    coze_world.decide_device(device.user_code, "approve")
    pending = [ScriptStep.error("authorization_pending")] * 3
    coze_world.script(On.grant("device_code"), pending)
    device_app.get_access_token(device.device_code, poll=True)
    coze_world.verify(Expect.exactly(4, On.grant("device_code")), Expect.gaps(5, On.grant("device_code")))


def test_a_device_that_is_told_to_slow_down_does(coze_world, device_app):
    device = device_app.get_device_code()
    coze_world.decide_device(device.user_code, "approve")
    coze_world.script(On.grant("device_code"), [ScriptStep.error("slow_down")] * 2)
    began = coze_world.clock.time()
    device_app.get_access_token(device.device_code, poll=True)
    coze_world.verify(Expect.exactly(3, On.grant("device_code")), Expect.gaps(10, On.grant("device_code")))
    assert coze_world.clock.time() - began == 10 + 15  # five seconds more each time


def test_a_person_denies_a_device(coze_world, device_app):
    device = device_app.get_device_code()
    coze_world.decide_device(device.user_code, "deny")
    with pytest.raises(CozePKCEAuthError, match="access_denied"):
        device_app.get_access_token(device.device_code, poll=True)


def test_a_device_code_expires(coze_world, device_app):
    device = device_app.get_device_code()
    coze_world.clock.advance(device.expires_in + 1)
    with pytest.raises(CozePKCEAuthError, match="expired_token"):
        device_app.get_access_token(device.device_code, poll=True)


# --- a service with a key


def test_a_service_gets_a_token_for_its_session(coze_world, jwt):
    token = jwt.get_access_token(ttl=3600, session_name="user-42")
    assert name_of(coze_world, token.access_token) == "alice"
    (entry,) = coze_world.requests(On.grant("jwt_bearer"))
    assert entry.jwt.payload["session_name"] == "user-42"


def test_a_service_asks_once_while_its_token_lasts(coze_world, jwt):
    coze = Coze(auth=JWTAuth(oauth_app=jwt, ttl=600), base_url=coze_world.base_url)
    coze.users.me()
    coze.users.me()
    coze_world.verify(Expect.exactly(1, On.token()))
    coze_world.clock.advance(601)
    coze.users.me()
    coze_world.verify(Expect.exactly(2, On.token()), Expect.exactly(3, RequestFilter.on(On.endpoint("users_me")).status(200)))


def test_a_key_that_was_removed_at_the_console_is_refused(coze_world, jwt):
    app = coze_world.app("jwt")
    coze_world.remove_key(app.client_id, app.key_id)
    with pytest.raises(CozeAPIError) as refused:
        jwt.get_access_token()
    assert coze_world.explain(refused.value.logid).rule == "jwt.kid"


def test_a_token_of_the_console_works_until_it_is_revoked(coze_world):
    token = coze_world.console_token("pat")
    assert name_of(coze_world, token) == "alice"
    coze_world.revoke(token)
    with pytest.raises(CozeAPIError) as refused:
        name_of(coze_world, token)
    assert refused.value.code == 4100


def test_a_busy_api_is_told_by_its_code(coze_world):
    coze_world.fault(On.endpoint("users_me"), Fault.status(429).body('{"code":4020,"msg":"busy"}').times(1))
    with pytest.raises(CozeAPIError) as refused:
        name_of(coze_world, "pat_mock_alice")
    assert refused.value.code == 4020
    assert name_of(coze_world, "pat_mock_alice") == "alice"
