"""The same through cozepy's async classes: one case per flow, and one refusal."""

import asyncio
from unittest.mock import patch

import cozepy
from cozepy import auth as sdk_auth

from cozepy_flows import PENDING, check_polls, check_token, jwt_app, public_app, verifier, web_app
from cozepy_refusals import pinned_jti
from cozepy_refused import refused
from mock_case import CALLBACK, SdkTime, case_list, expect

CASES, case = case_list()


async def aprove(mock, access_token):
    user = await cozepy.AsyncCoze(auth=cozepy.AsyncTokenAuth(access_token), base_url=mock.base).users.me()
    expect("user name", "alice", user.user_name)
    mock.saw("users_me", logid=user.response.logid)


@case("async.web")
def _(mock):
    async def run():
        app = web_app(mock, cozepy.AsyncWebOAuthApp)
        code = mock.approve(app.get_oauth_url(CALLBACK, state="s"), "s")
        token = await app.get_access_token(CALLBACK, code)
        check_token(mock, token, "authorization_code", "web")
        new = await app.refresh_access_token(token.refresh_token)
        check_token(mock, new, "refresh_token", "web")
        await aprove(mock, new.access_token)

    asyncio.run(run())


@case("async.pkce")
def _(mock):
    async def run():
        app, proof = public_app(mock, cozepy.AsyncPKCEOAuthApp, "pkce"), verifier()
        code = mock.approve(app.get_oauth_url(CALLBACK, proof, "S256", state="s"), "s")
        token = await app.get_access_token(CALLBACK, code, proof)
        check_token(mock, token, "authorization_code", "pkce")
        await aprove(mock, token.access_token)

    asyncio.run(run())


@case("async.device")
def _(mock):
    async def run():
        app = public_app(mock, cozepy.AsyncDeviceOAuthApp, "device")
        device = await app.get_device_code()
        mock.saw("device_code", logid=device.response.logid)
        # Its polling blocks the event loop in time.sleep (protocol §11 coze-py 1): the same stand-in serves.
        clock = SdkTime(mock, lambda _: mock.user(device.user_code, "approve"))
        with patch.object(sdk_auth, "time", clock):
            token = await app.get_access_token(device.device_code, poll=True)
        check_polls(mock, token, PENDING)
        await aprove(mock, token.access_token)

    asyncio.run(run())


@case("async.jwt")
def _(mock):
    async def run():
        # Unlike its twin it has no default ttl (protocol §11 coze-py 8).
        token = await jwt_app(mock, cozepy.AsyncJWTOAuthApp).get_access_token(900)
        check_token(mock, token, "jwt_bearer", "jwt", refreshable=False)
        await aprove(mock, token.access_token)

    asyncio.run(run())


@case("async.jwt-reused-jti")
def _(mock):
    app = jwt_app(mock, cozepy.AsyncJWTOAuthApp)
    with pinned_jti():
        check_token(mock, asyncio.run(app.get_access_token(900)), "jwt_bearer", "jwt", refreshable=False)
        app = jwt_app(mock, cozepy.AsyncJWTOAuthApp)  # its HTTP client belongs to the first event loop
        refused(
            mock,
            lambda: asyncio.run(app.get_access_token(900)),
            401,
            "invalid_client",
            "jwt.jti",
            "invalid jwt: jti",
            "jwt_bearer",
        )
