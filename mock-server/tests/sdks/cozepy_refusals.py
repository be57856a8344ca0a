"""Refusals that cozepy must show: what it raises, and the rule that the journal names."""

import time
from types import SimpleNamespace
from unittest.mock import patch

import cozepy
from cozepy import auth as sdk_auth

from cozepy_flows import (
    ACCESS_SECONDS,
    PENDING,
    check_token,
    device_start,
    jwt_app,
    poll,
    prove,
    public_app,
    verifier,
    web_app,
    web_token,
)
from cozepy_refused import (
    bad_client,
    bad_grant,
    device_refused,
    jwt_refused,
    login_refused,
    raised,
    refused,
    token_refused,
)
from mock_case import CALLBACK, SdkTime, case_list, expect, other_key

CASES, case = case_list()
ELSEWHERE = "https://elsewhere.example/callback"  # no ready-made app allows it


# --- authorize -----------------------------------------------------------------------------------


@case("authorize.wrong-redirect")
def _(mock):
    url = web_app(mock).get_oauth_url(ELSEWHERE, state="s")
    login_refused(mock, url, 400, "invalid_request", "authorize.redirect_uri")


@case("authorize.unknown-client")
def _(mock):
    app = web_app(mock, client_id="99999999999999999999999999999999.app.coze")
    login_refused(mock, app.get_oauth_url(CALLBACK, state="s"), 401, "invalid_client", "client.known")


@case("authorize.deny")
def _(mock):
    url = web_app(mock).get_oauth_url(CALLBACK, state="s")
    answer = mock.answer_consent(url, "deny")
    expect("callback", ("access_denied", "s", None), (answer.get("error"), answer.get("state"), answer.get("code")))
    mock.saw("authorize", 302)


# --- exchange ------------------------------------------------------------------------------------


def web_code(mock, app):
    return mock.approve(app.get_oauth_url(CALLBACK, state="s"), "s")


def web_code_with_pkce(mock):
    proof = verifier()
    url = public_app(mock, cozepy.PKCEOAuthApp, "web").get_oauth_url(CALLBACK, proof, "S256", state="s")
    return mock.approve(url, "s"), proof


@case("code.wrong-secret")
def _(mock):
    app = web_app(mock, client_secret="not-the-secret")
    code = web_code(mock, app)
    bad_client(mock, lambda: app.get_access_token(CALLBACK, code), "client.secret", "client_secret")
    # A refused client must not burn the person's code.
    check_token(mock, web_app(mock).get_access_token(CALLBACK, code), "authorization_code", "web")


@case("code.unknown-client")
def _(mock):
    app = web_app(mock, client_id="99999999999999999999999999999999.app.coze")
    code = web_code(mock, web_app(mock))
    bad_client(mock, lambda: app.get_access_token(CALLBACK, code), "client.known", "client_id")


@case("code.reused")
def _(mock):
    app = web_app(mock)
    code = web_code(mock, app)
    check_token(mock, app.get_access_token(CALLBACK, code), "authorization_code", "web")
    bad_grant(mock, lambda: app.get_access_token(CALLBACK, code), "code.single_use", "code")


@case("code.expired")
def _(mock):
    app = web_app(mock)
    code = web_code(mock, app)
    mock.advance(3600)
    bad_grant(mock, lambda: app.get_access_token(CALLBACK, code), "code.expiry", "code")


@case("code.of-another-client")
def _(mock):
    # The web app's login has a challenge, so that nothing but the client is wrong.
    code, proof = web_code_with_pkce(mock)
    thief = public_app(mock, cozepy.PKCEOAuthApp, "pkce")
    bad_grant(mock, lambda: thief.get_access_token(CALLBACK, code, proof), "code.client", "code")


@case("code.wrong-redirect")
def _(mock):
    app = web_app(mock)
    code = web_code(mock, app)
    other = "http://localhost:8080/callback"  # allowed for the app, yet not where this login began
    bad_grant(mock, lambda: app.get_access_token(other, code), "code.redirect_uri", "redirect_uri")


@case("code.web-app-without-secret")
def _(mock):
    # A web app used as a PKCE one: the refusal of coze-js#212.
    code, proof = web_code_with_pkce(mock)
    app = public_app(mock, cozepy.PKCEOAuthApp, "web")
    refused(
        mock,
        lambda: app.get_access_token(CALLBACK, code, proof),
        400,
        "invalid_request",
        "client.secret_missing",
        "invalid request: client_secret",
    )


def wrong_verifier(mock, method):
    app = public_app(mock, cozepy.PKCEOAuthApp, "pkce")
    code = mock.approve(app.get_oauth_url(CALLBACK, verifier(), method, state="s"), "s")
    bad_grant(mock, lambda: app.get_access_token(CALLBACK, code, verifier()), "pkce.verifier", "code_verifier")


@case("pkce.wrong-verifier-s256")
def _(mock):
    wrong_verifier(mock, "S256")


@case("pkce.wrong-verifier-plain")
def _(mock):
    wrong_verifier(mock, "plain")


# --- refresh -------------------------------------------------------------------------------------


@case("refresh.reused")
def _(mock):
    app = web_app(mock)
    token = web_token(mock, app)
    new = app.refresh_access_token(token.refresh_token)
    check_token(mock, new, "refresh_token", "web")
    bad_grant(mock, lambda: app.refresh_access_token(token.refresh_token), "refresh.rotate", "refresh_token")


@case("refresh.expired")
def _(mock):
    app = web_app(mock)
    token = web_token(mock, app)
    mock.advance(30 * 86400)
    bad_grant(mock, lambda: app.refresh_access_token(token.refresh_token), "refresh.expiry", "refresh_token")


@case("refresh.of-another-client")
def _(mock):
    token = web_token(mock, web_app(mock))
    thief = public_app(mock, cozepy.PKCEOAuthApp, "pkce")
    bad_grant(mock, lambda: thief.refresh_access_token(token.refresh_token), "refresh.client", "refresh_token")


@case("refresh.wrong-secret")
def _(mock):
    token = web_token(mock, web_app(mock))
    app = web_app(mock, client_secret="not-the-secret")
    bad_client(mock, lambda: app.refresh_access_token(token.refresh_token), "client.secret", "client_secret")


# --- device --------------------------------------------------------------------------------------


@case("device.single-poll-pending")
def _(mock):
    app = public_app(mock, cozepy.DeviceOAuthApp, "device")
    device = device_start(mock, app)
    device_refused(mock, lambda: app.get_access_token(device.device_code), *PENDING[1:], polls=0)


@case("device.denied")
def _(mock):
    app = public_app(mock, cozepy.DeviceOAuthApp, "device")
    device = device_start(mock, app)
    device_refused(mock, lambda: poll(mock, app, device, "deny"), "access_denied", "device.denied", polls=1)


@case("device.expired-by-person")
def _(mock):
    app = public_app(mock, cozepy.DeviceOAuthApp, "device")
    device = device_start(mock, app)
    device_refused(mock, lambda: poll(mock, app, device, "expire"), "expired_token", "device.expired", polls=1)


@case("device.expired-by-clock")
def _(mock):
    # The SDK has no deadline (protocol §11 coze-py 2): only the server's 300 s end this, after 60 polls.
    app = public_app(mock, cozepy.DeviceOAuthApp, "device")
    device = device_start(mock, app)
    device_refused(mock, lambda: poll(mock, app, device), "expired_token", "device.expired", polls=60)


@case("device.code-used-twice")
def _(mock):
    app = public_app(mock, cozepy.DeviceOAuthApp, "device")
    device = device_start(mock, app)
    mock.user(device.user_code, "approve")
    check_token(mock, app.get_access_token(device.device_code), "device_code", "device")
    bad_grant(mock, lambda: app.get_access_token(device.device_code), "device.single_use", "device_code")


@case("device.of-another-client")
def _(mock):
    device = device_start(mock, public_app(mock, cozepy.DeviceOAuthApp, "device"))
    mock.user(device.user_code, "approve")
    thief = public_app(mock, cozepy.DeviceOAuthApp, "other_device")
    bad_grant(mock, lambda: thief.get_access_token(device.device_code), "device.client", "device_code")


@case("device.wrong-kind")
def _(mock):
    app = public_app(mock, cozepy.DeviceOAuthApp, "pkce")
    why = raised(cozepy.CozeAPIError, app.get_device_code)
    mock.saw("device_code", 403, why.logid, "access_deny", "client.kind")
    mock.explained(why.logid, "client.kind")
    expect("message of the SDK's error", "invalid app type", why.msg)


# --- JWT -----------------------------------------------------------------------------------------


@case("jwt.unknown-kid")
def _(mock):
    # The server's spelling (coze-go#43).
    jwt_refused(mock, jwt_app(mock, public_key_id="no-such-key"), "jwt.kid", "invalid jwt: kid not been registred")


@case("jwt.wrong-key")
def _(mock):
    jwt_refused(mock, jwt_app(mock, private_key=other_key()), "jwt.signature", "invalid jwt: signature")


@case("jwt.wrong-aud")
def _(mock):
    app = jwt_app(mock)
    app._api_endpoint = "api.elsewhere.example"  # the SDK takes aud from its base URL and has no option for it
    jwt_refused(mock, app, "jwt.aud", "invalid jwt: aud")


@case("jwt.expired-assertion")
def _(mock):
    app = jwt_app(mock)
    with patch.object(sdk_auth, "time", SdkTime(mock, offset=-7200)):
        jwt_refused(mock, app, "jwt.exp", "invalid jwt: exp")


def pinned_jti():
    """Two assertions with one jti: the SDK makes it of its clock, `random` and `os.urandom`."""
    now = time.time()
    same = {
        "time": SimpleNamespace(time=lambda: now),
        "random_hex": lambda length: "0" * length,
        "os": SimpleNamespace(urandom=bytes),
    }
    return patch.multiple(sdk_auth, **same)


@case("jwt.reused-jti")
def _(mock):
    app = jwt_app(mock)
    with pinned_jti():
        check_token(mock, app.get_access_token(), "jwt_bearer", "jwt", refreshable=False)
        jwt_refused(mock, app, "jwt.jti", "invalid jwt: jti")


# --- the protected endpoint ----------------------------------------------------------------------


@case("token.unknown")
def _(mock):
    token_refused(mock, "pat_no_such_token", "token.known")


@case("token.expired")
def _(mock):
    token = web_token(mock, web_app(mock))
    prove(mock, token.access_token)
    mock.advance(ACCESS_SECONDS + 60)
    token_refused(mock, token.access_token, "token.expiry")


@case("token.revoked")
def _(mock):
    token = web_token(mock, web_app(mock))
    prove(mock, token.access_token)
    mock.revoke(token.access_token)
    token_refused(mock, token.access_token, "token.revoked")
