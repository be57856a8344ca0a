"""How a refusal of cozepy is judged: the error that it raises, and the journal."""

import cozepy

from cozepy_flows import PENDING
from mock_case import Mismatch, expect


def raised(kind, call):
    try:
        came = call()
    except kind as error:
        return error
    raise Mismatch(f"expected {kind.__name__}, the SDK returned {type(came).__name__}")


def refused(mock, call, status, error, rule, msg, grant=None):
    """A refusal at the token endpoint. Of it the SDK keeps only message and log id: code and status are
    lost (protocol §11 coze-py 4), so they are taken from the journal."""
    why = raised(cozepy.CozeAPIError, call)
    mock.saw("token", status, why.logid, error, rule, grant=grant)
    mock.explained(why.logid, rule)
    expect("code of the SDK's error", None, why.code)
    expect("message of the SDK's error", msg, why.msg)


def bad_grant(mock, call, rule, what):
    refused(mock, call, 400, "invalid_grant", rule, f"invalid grant: {what}")


def bad_client(mock, call, rule, what):
    refused(mock, call, 401, "invalid_client", rule, f"invalid client: {what}")


def device_refused(mock, call, error, rule, polls):
    """The end of a device grant; `polls` were pending before it."""
    why = raised(cozepy.CozePKCEAuthError, call)  # its name for the device flow (protocol §11 coze-py 13)
    entries = mock.new_entries()
    expect("number of polls", polls + 1, len(entries))
    for entry in entries[:-1]:
        mock.check(entry, "token", PENDING[0], error=PENDING[1], rule=PENDING[2], grant="device_code")
    status = 428 if error == PENDING[1] else 400
    mock.check(entries[-1], "token", status, why.logid, error, rule, grant="device_code")
    mock.explained(why.logid, rule)
    expect("error of the SDK", error, why.error.value)


def token_refused(mock, access_token, rule):
    coze = cozepy.Coze(auth=cozepy.TokenAuth(access_token), base_url=mock.base)
    why = raised(cozepy.CozeAPIError, coze.users.me)
    mock.saw("users_me", 401, why.logid, "4100", rule)
    mock.explained(why.logid, rule)
    expect("code and message of the SDK's error", (4100, "authentication is invalid"), (why.code, why.msg))


def login_refused(mock, url, status, error, rule):
    """The SDK only builds this URL; the person's browser gets the refusal, and is never sent elsewhere."""
    came, logid = mock.open_as_browser(url)
    expect("status of the authorize page", status, came)
    mock.saw("authorize", status, logid, error, rule)
    mock.explained(logid, rule)


def jwt_refused(mock, app, rule, msg):
    refused(mock, app.get_access_token, 401, "invalid_client", rule, msg, "jwt_bearer")
