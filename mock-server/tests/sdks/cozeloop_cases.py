"""Coze Loop's client for Python judges the JWT grant: `run.py` starts it, and says on standard input what the mock and its worlds are.

Every token is proved with the client's own `get_prompt`, which the mock answers as `mock.toml` says.
"""

import itertools
import json
import logging
import sys
from importlib.metadata import version
from unittest.mock import patch

import cozeloop
from cozeloop.internal import consts
from cozeloop.internal.httpclient import auth as sdk_auth, auth_client

from mock_case import Mismatch, SdkTime, case_list, expect, judge, other_key

ACCESS_SECONDS = 15 * 60  # protocol §3.4
PROMPTS = "/v1/loop/prompts/mget"
CASES, case = case_list()
_prompts = itertools.count()


# --- steps ---------------------------------------------------------------------------------------


def client(mock, **changed):
    app = mock.apps["jwt"]
    given = {
        "jwt_oauth_client_id": app.client_id,
        "jwt_oauth_private_key": app.private_key,
        "jwt_oauth_public_key_id": app.key_id,
    }
    return cozeloop.new_client(**{"api_base_url": mock.base, "workspace_id": "ws_a", **given, **changed})


def with_token(mock, token):
    jwt = dict.fromkeys(("jwt_oauth_client_id", "jwt_oauth_private_key", "jwt_oauth_public_key_id"), "")
    return client(mock, api_token=token, **jwt)


def get_prompt(loop):
    # Each time another one: the client keeps those that it has.
    expect("workspace of the prompt", "ws_a", loop.get_prompt(f"p{next(_prompts)}").workspace_id)


def check_grant(mock, entry):
    mock.check(entry, "token", grant="jwt_bearer", client=mock.apps["jwt"].client_id)


def granted(mock, loop):
    """One call, for which the client gets a token first. Gives the entry of the grant."""
    get_prompt(loop)
    entries = mock.new_entries()
    expect("a grant and the call", ["token", "api"], [entry["endpoint"] for entry in entries])
    check_grant(mock, entries[0])
    mock.check(entries[1], "api", path=PROMPTS)
    return entries[0]


def prove(mock, loop):
    """A call with the token that is there."""
    get_prompt(loop)
    mock.saw("api", path=PROMPTS)


def raised(kind, loop):
    try:
        get_prompt(loop)
    except kind as error:
        return error
    raise Mismatch(f"expected {kind.__name__}, the SDK returned a prompt")


def jwt_refused(mock, loop, rule, message):
    """What the SDK keeps of an OAuth error: all of it."""
    why = raised(consts.AuthError, loop)
    mock.saw("token", 401, why.log_id, "invalid_client", rule, grant="jwt_bearer")
    mock.explained(why.log_id, rule)
    told = (why.http_code, why.code, why.error_message, why.params)
    expect("status, code, message and params of the SDK's error", (401, "invalid_client", message, "invalid_client"), told)


def token_refused(mock, loop, rule):
    why = raised(consts.RemoteServiceError, loop)
    mock.saw("api", 401, why.log_id, "4100", rule)
    mock.explained(why.log_id, rule)
    told = (why.http_code, why.error_code, why.error_message)
    expect("status, code and message of the SDK's error", (401, 4100, "authentication is invalid"), told)


# --- JWT -----------------------------------------------------------------------------------------


@case("jwt.plain")
def _(mock):
    # Sends `scope: null` and no client_id (protocol §2.4); its aud keeps the port (§1.3).
    entry = granted(mock, client(mock))
    expect("aud in the assertion", mock.host, entry["jwt"]["payload"]["aud"])


@case("jwt.cached-until-expiry")
def _(mock):
    # It keeps a token of 15 minutes until a minute before its expires_in.
    clock = SdkTime(mock)
    with patch.object(sdk_auth, "time", clock), patch.object(auth_client, "time", clock):
        loop = client(mock)
        granted(mock, loop)
        clock.sleep(ACCESS_SECONDS - 60)
        prove(mock, loop)
        clock.sleep(1)
        granted(mock, loop)


@case("jwt.unknown-kid")
def _(mock):
    # The server's spelling (coze-go#43).
    jwt_refused(mock, client(mock, jwt_oauth_public_key_id="no-such-key"), "jwt.kid", "invalid jwt: kid not been registred")


@case("jwt.wrong-key")
def _(mock):
    jwt_refused(mock, client(mock, jwt_oauth_private_key=other_key()), "jwt.signature", "invalid jwt: signature")


@case("jwt.wrong-aud")
def _(mock):
    # The SDK takes aud from its base URL and has no option for it.
    with patch.object(auth_client, "urlparse", lambda _: type("Elsewhere", (), {"netloc": "api.elsewhere.example"})):
        jwt_refused(mock, client(mock), "jwt.aud", "invalid jwt: aud")


@case("jwt.expired-assertion")
def _(mock):
    with patch.object(auth_client, "time", SdkTime(mock, offset=-7200)):
        jwt_refused(mock, client(mock), "jwt.exp", "invalid jwt: exp")


@case("jwt.reused-jti")
def _(mock):
    with patch.object(auth_client, "random_hex", lambda length: "0" * length):
        granted(mock, client(mock))
        jwt_refused(mock, client(mock, timeout=4), "jwt.jti", "invalid jwt: jti")  # the same options give the same client


# --- tokens --------------------------------------------------------------------------------------


@case("token.pat")
def _(mock):
    prove(mock, with_token(mock, mock.tokens["pat"]))


@case("token.sat")
def _(mock):
    prove(mock, with_token(mock, mock.tokens["sat"]))


@case("token.unknown")
def _(mock):
    token_refused(mock, with_token(mock, "pat_no_such_token"), "token.known")


@case("token.expired")
def _(mock):
    loop = client(mock)
    granted(mock, loop)
    mock.advance(ACCESS_SECONDS + 60)  # and not the SDK's clock
    token_refused(mock, loop, "token.expiry")


@case("token.revoked")
def _(mock):
    loop = with_token(mock, mock.tokens["pat"])
    prove(mock, loop)
    mock.revoke(mock.tokens["pat"])
    token_refused(mock, loop, "token.revoked")


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # it logs to standard output
    sys.exit(1 if judge(CASES, json.load(sys.stdin), f"cozeloop {version('cozeloop')}") else 0)
