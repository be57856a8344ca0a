"""Flows that cozepy must complete: every token is proved with the SDK's own `users.me`."""

import secrets
from unittest.mock import patch

import cozepy
from cozepy import auth as sdk_auth

from mock_case import CALLBACK, SdkTime, case_list, expect

ACCESS_SECONDS = 15 * 60  # protocol §3.4
CASES, case = case_list()


# --- the apps, through the SDK's own constructors ------------------------------------------------


def web_app(mock, kind=cozepy.WebOAuthApp, **changed):
    app = mock.apps["web"]
    return kind(**{"client_id": app.client_id, "client_secret": app.client_secret, "base_url": mock.base, **changed})


def public_app(mock, kind, app):
    return kind(client_id=mock.apps[app].client_id, base_url=mock.base)


def jwt_app(mock, kind=cozepy.JWTOAuthApp, **changed):
    app = mock.apps["jwt"]
    given = {"client_id": app.client_id, "private_key": app.private_key, "public_key_id": app.key_id}
    return kind(**{**given, "base_url": mock.base, **changed})


def loaded(mock, kind):
    """The app of a `coze_oauth_config.json` (protocol §9)."""
    return cozepy.load_oauth_app_from_config(mock.config_file(kind))


def verifier():
    return secrets.token_urlsafe(48)


# --- steps ---------------------------------------------------------------------------------------


def check_token(mock, token, grant, client, refreshable=True, seconds=ACCESS_SECONDS):
    """The answer as the SDK parsed it, and the one journal entry it came from."""
    entry = mock.saw("token", logid=token.response.logid, grant=grant, client=mock.apps[client].client_id)
    expect("token_type", "Bearer", token.token_type)
    expect("has a refresh token", refreshable, bool(token.refresh_token))
    # Absolute Unix seconds in every flow (protocol §3.1).
    expect("expires_in", mock.now() + seconds, token.expires_in)
    return entry


def prove(mock, access_token):
    user = cozepy.Coze(auth=cozepy.TokenAuth(access_token), base_url=mock.base).users.me()
    expect("user name", "alice", user.user_name)
    mock.saw("users_me", logid=user.response.logid)


def refresh_and_prove(mock, app, token, client):
    prove(mock, token.access_token)
    new = app.refresh_access_token(token.refresh_token)
    check_token(mock, new, "refresh_token", client)
    expect("a new access token", True, new.access_token != token.access_token)
    expect("a new refresh token", True, new.refresh_token != token.refresh_token)
    prove(mock, new.access_token)


def web_token(mock, app, **login):
    code = mock.approve(app.get_oauth_url(CALLBACK, state="state-1", **login), "state-1")
    token = app.get_access_token(CALLBACK, code)
    check_token(mock, token, "authorization_code", "web")
    return token


def pkce_token(mock, app, method="S256", **login):
    proof = verifier()
    code = mock.approve(app.get_oauth_url(CALLBACK, proof, method, state="state-2", **login), "state-2")
    token = app.get_access_token(CALLBACK, code, proof)
    check_token(mock, token, "authorization_code", "pkce")
    return token


def device_start(mock, app, **start):
    device = app.get_device_code(**start)
    path = "/api/permission/oauth2" + ("/workspace_id/ws_a" if start else "") + "/device/code"
    mock.saw("device_code", logid=device.response.logid, client=mock.apps["device"].client_id, path=path)
    expect("interval", 5, device.interval)
    # A duration, unlike the token's (protocol §3.2).
    expect("expires_in of the device code", 300, device.expires_in)
    return device


def poll(mock, app, device, action=None, **time):
    """Polls as the SDK does, on virtual time; the person acts while the SDK sleeps for the first time."""

    def person(number):
        if action and number == 1:
            mock.user(device.user_code, action)

    clock = SdkTime(mock, person, **time)
    with patch.object(sdk_auth, "time", clock):
        return app.get_access_token(device.device_code, poll=True), clock


def check_polls(mock, token, *refused):
    """One entry per poll: those refused as (error, rule), then the token."""
    entries = mock.new_entries()
    expect("number of polls", len(refused) + 1, len(entries))
    for entry, (status, error, rule) in zip(entries, refused):
        mock.check(entry, "token", status, error=error, rule=rule, grant="device_code")
    mock.check(entries[-1], "token", logid=token.response.logid, grant="device_code")


PENDING = (428, "authorization_pending", "device.pending")
SLOW_DOWN = (400, "slow_down", "device.interval")


# --- web -----------------------------------------------------------------------------------------


@case("web.login-and-refresh")
def _(mock):
    app = web_app(mock)
    refresh_and_prove(mock, app, web_token(mock, app), "web")


@case("web.workspace")
def _(mock):
    app = web_app(mock)
    url = app.get_oauth_url(CALLBACK, state="s", workspace_id="ws_a")
    code = mock.answer_consent(url, "approve")["code"]
    mock.saw("authorize", 302, path="/api/permission/oauth2/workspace_id/ws_a/authorize")
    token = app.get_access_token(CALLBACK, code)
    check_token(mock, token, "authorization_code", "web")
    refresh_and_prove(mock, app, token, "web")


@case("web.config-file")
def _(mock):
    prove(mock, web_token(mock, loaded(mock, "web")).access_token)


@case("web.refreshed-after-expiry")
def _(mock):
    app = web_app(mock)
    token = web_token(mock, app)
    mock.advance(ACCESS_SECONDS + 60)
    new = app.refresh_access_token(token.refresh_token)
    check_token(mock, new, "refresh_token", "web")
    prove(mock, new.access_token)


# --- PKCE ----------------------------------------------------------------------------------------


@case("pkce.s256")
def _(mock):
    app = public_app(mock, cozepy.PKCEOAuthApp, "pkce")
    refresh_and_prove(mock, app, pkce_token(mock, app), "pkce")


@case("pkce.plain")
def _(mock):  # the SDK's default method (protocol §11 coze-py 3)
    app = public_app(mock, cozepy.PKCEOAuthApp, "pkce")
    refresh_and_prove(mock, app, pkce_token(mock, app, "plain"), "pkce")


@case("pkce.workspace")
def _(mock):
    app = public_app(mock, cozepy.PKCEOAuthApp, "pkce")
    prove(mock, pkce_token(mock, app, workspace_id="ws_a").access_token)


@case("pkce.short-verifier")
def _(mock):
    # The SDK never checks its length (protocol §11 coze-py 3), so Coze must take less than RFC 7636's 43.
    app = public_app(mock, cozepy.PKCEOAuthApp, "pkce")
    code = mock.approve(app.get_oauth_url(CALLBACK, "ver", "S256", state="s"), "s")
    token = app.get_access_token(CALLBACK, code, "ver")
    check_token(mock, token, "authorization_code", "pkce")
    prove(mock, token.access_token)


@case("pkce.config-file")
def _(mock):
    prove(mock, pkce_token(mock, loaded(mock, "pkce")).access_token)


# --- device --------------------------------------------------------------------------------------


@case("device.pending-then-approve")
def _(mock):
    app = public_app(mock, cozepy.DeviceOAuthApp, "device")
    device = device_start(mock, app)
    expect("verification_url", f"{device.verification_uri}?user_code={device.user_code}", device.verification_url)
    token, clock = poll(mock, app, device, "approve")
    check_polls(mock, token, PENDING)
    expect("sleeps of the SDK", [5], clock.sleeps)
    expect("has a refresh token", True, bool(token.refresh_token))
    refresh_and_prove(mock, app, token, "device")


@case("device.workspace")
def _(mock):
    app = public_app(mock, cozepy.DeviceOAuthApp, "device")
    device = device_start(mock, app, workspace_id="ws_a")
    token, _ = poll(mock, app, device, "approve")
    check_polls(mock, token, PENDING)
    prove(mock, token.access_token)


@case("device.slow-down-then-approve")
def _(mock):
    app = public_app(mock, cozepy.DeviceOAuthApp, "device")
    device = device_start(mock, app)
    # The SDK ignores the server's interval (protocol §11 coze-py 2), so its first sleep is cut short from outside.
    clock = SdkTime(
        mock,
        lambda number: number == 2 and mock.user(device.user_code, "approve"),
        mock_advances=lambda seconds: 1 if seconds == 5 else seconds,
    )
    with patch.object(sdk_auth, "time", clock):
        token = app.get_access_token(device.device_code, poll=True)
    check_polls(mock, token, PENDING, SLOW_DOWN)
    expect("sleeps of the SDK: 5 s, then 5 s more", [5, 10], clock.sleeps)
    prove(mock, token.access_token)


@case("device.config-file")
def _(mock):
    app = loaded(mock, "device")
    token, _ = poll(mock, app, device_start(mock, app), "approve")
    check_polls(mock, token, PENDING)
    prove(mock, token.access_token)


# --- JWT -----------------------------------------------------------------------------------------


@case("jwt.plain")
def _(mock):
    # Sends `scope: null` and no client_id (protocol §2.4); its aud keeps the port (§1.3).
    token = jwt_app(mock).get_access_token()
    entry = check_token(mock, token, "jwt_bearer", "jwt", refreshable=False)
    expect("aud in the assertion", mock.host, entry["jwt"]["payload"]["aud"])
    prove(mock, token.access_token)


@case("jwt.scope-session-ttl")
def _(mock):
    scope = cozepy.Scope.build_bot_chat(["bot_1"])
    token = jwt_app(mock).get_access_token(ttl=7200, scope=scope, session_name="user-1")
    entry = check_token(mock, token, "jwt_bearer", "jwt", refreshable=False, seconds=7200)
    expect("scope in the body", scope.model_dump(), entry["json"]["scope"])
    expect("session_name in the assertion", "user-1", entry["jwt"]["payload"]["session_name"])
    prove(mock, token.access_token)


@case("jwt.scope-with-null-member")
def _(mock):
    # Without bots the SDK sends `attribute_constraint: null` inside scope (protocol §11 coze-py 10).
    scope = cozepy.Scope.build_bot_chat([])
    token = jwt_app(mock).get_access_token(scope=scope)
    entry = check_token(mock, token, "jwt_bearer", "jwt", refreshable=False)
    expect("scope in the body", scope.model_dump(), entry["json"]["scope"])
    prove(mock, token.access_token)


@case("jwt.config-file")
def _(mock):
    token = loaded(mock, "jwt").get_access_token()
    check_token(mock, token, "jwt_bearer", "jwt", refreshable=False)
    prove(mock, token.access_token)


@case("jwt.cached-until-expiry")
def _(mock):
    # JWTAuth keeps a token until its expires_in, without skew (protocol §11 coze-py 8).
    clock = SdkTime(mock)
    with patch.object(sdk_auth, "time", clock):
        keeper = cozepy.JWTAuth(oauth_app=jwt_app(mock), ttl=600)
        coze = cozepy.Coze(auth=keeper, base_url=mock.base)
        coze.users.me()
        coze.users.me()
        expect(
            "one grant for two calls", ["token", "users_me", "users_me"], [e["endpoint"] for e in mock.new_entries()]
        )
        clock.sleep(601)
        coze.users.me()
        expect(
            "a new grant after expiry",
            [("token", 200), ("users_me", 200)],
            [(e["endpoint"], e["outcome"]["status"]) for e in mock.new_entries()],
        )


# --- static tokens -------------------------------------------------------------------------------


@case("token.pat")
def _(mock):
    prove(mock, mock.tokens["pat"])


@case("token.sat")
def _(mock):
    user = cozepy.Coze(auth=cozepy.TokenAuth(mock.tokens["sat"]), base_url=mock.base).users.me()
    expect("has a user id", True, bool(user.user_id))
    mock.saw("users_me", logid=user.response.logid)
