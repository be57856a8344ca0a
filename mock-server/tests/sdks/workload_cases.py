"""Coze's client for workload identity judges the mock's endpoints for workloads: `run.py` starts it, and says on standard input what the mock is.

The client takes everything from its environment and keeps one token for the whole process, so each case begins with
another environment and an empty cache.
"""

import json
import logging
import os
import sys
from contextlib import contextmanager
from importlib.metadata import version
from unittest.mock import patch

import requests
from coze_workload_identity import Client, TokenRetrievalError, client as sdk

from mock_case import Mismatch, SdkTime, case_list, expect, judge

ACCESS_SECONDS, ID_TOKEN_SECONDS = 15 * 60, 10 * 60  # as the mock has them
CASES, case = case_list()


# --- steps ---------------------------------------------------------------------------------------


@contextmanager
def workload(mock, app="workload", paths=("/.well-known/token", "/.well-known/token"), **changed):
    """The client in the environment of one of the mock's workloads, with nothing in its cache."""
    given = {
        "COZE_WORKLOAD_IDENTITY_CLIENT_ID": mock.apps[app].client_id,
        "COZE_WORKLOAD_IDENTITY_CLIENT_SECRET": mock.apps[app].client_secret,
        "COZE_WORKLOAD_IDENTITY_TOKEN_ENDPOINT": mock.base + paths[0],
        "COZE_WORKLOAD_ACCESS_TOKEN_ENDPOINT": mock.base + paths[1],
        "COZE_OUTBOUND_AUTH_ENDPOINT": mock.base + "/api/v1/secret",
        "COZE_SERVER_ENV": "NONE",
    }
    sdk.get_global_token_cache()._cache.clear()
    with patch.dict(os.environ, {**given, **changed}), Client() as client:
        yield client


def granted(mock, client_id, paths=("/.well-known/token", "/.well-known/token")):
    """The two requests of a grant, and nothing else. Gives their entries."""
    entries = mock.new_entries()
    expect("requests of a grant", 2, len(entries))
    for entry, grant, path in zip(entries, ("client_credentials", "token_exchange"), paths):
        where = entry["path"].split("/t/")[-1]
        expect("path", path, where[where.find("/") :] if "/t/" in entry["path"] else where)
        mock.check(entry, "workload_token", grant=grant, client=client_id)
    return entries


def got(mock, client):
    """An access token, for which the client sends its two requests."""
    token = client.get_access_token()
    granted(mock, mock.apps["workload"].client_id)
    return token


def raised(kind, call):
    try:
        call()
    except kind as error:
        return str(error)
    raise Mismatch(f"expected {kind.__name__}, the SDK returned")


def refused(mock, client, step, status, error, rule):
    """A refusal of W1 or W2: the SDK keeps its status alone (protocol §15.7, 8)."""
    told = raised(TokenRetrievalError, client.get_access_token)
    expect("the SDK tells the status", True, f"{status} " in told)
    entries = mock.new_entries()
    expect("requests up to the refusal", step, len(entries))
    mock.check(entries[-1], "workload_token", status, None, error, rule)
    mock.explained(entries[-1]["outcome"]["logid"], rule)


def outbound_refused(mock, call, endpoint, status, code, rule, message):
    told = raised(Exception, call)
    expect("message in the SDK's error", True, f"({status})" in told and message in told)
    entry = mock.saw(endpoint, status, None, code, rule)
    mock.explained(entry["outcome"]["logid"], rule)


@contextmanager
def sent_otherwise(change):
    """Changes what the client sends: it has no option for it. `change` gets the form and the headers, and returns what is sent."""
    post = requests.Session.post

    def changed(self, url, data=None, headers=None, **more):
        return post(self, url, headers=headers, **more, **change(data, headers)) if data else post(self, url, headers=headers, **more)

    with patch.object(requests.Session, "post", changed):
        yield


# --- what must succeed ---------------------------------------------------------------------------


@case("workload.token")
def _(mock):
    with workload(mock) as client:
        token = got(mock, client)
        expect("parts of the token", 3, len(token.split(".")))
        expect("a second call takes the token that is there", token, client.get_access_token())


@case("workload.two-paths")
def _(mock):
    paths = ("/id/token", "/access/token")
    with workload(mock, paths=paths) as client:
        client.get_access_token()
        granted(mock, mock.apps["workload"].client_id, paths)


@case("workload.cached-until-expiry")
def _(mock):
    # A duration: kept until a minute before its end.
    clock = SdkTime(mock)
    with patch.object(sdk, "time", clock), workload(mock) as client:
        first = got(mock, client)
        clock.sleep(ACCESS_SECONDS - 61)
        expect("the token that is there", first, client.get_access_token())
        clock.sleep(1)
        expect("another token", False, got(mock, client) == first)


@case("workload.integration-bare")
def _(mock):
    with workload(mock) as client:
        token = got(mock, client)
        credential = client.get_integration_credential("integration-feishu-base")
        expect("a bare credential", mock.apps["workload"].integrations[0]["credential"], credential)
        mock.saw("integration", client=mock.apps["workload"].client_id)
        expect("the same token", token, client.get_access_token())


@case("workload.integration-json")
def _(mock):
    with workload(mock) as client:
        got(mock, client)
        credential = client.get_integration_credential("integration-volcano-ark")
        expect("JSON in a text, untouched", mock.apps["workload"].integrations[1]["credential"], credential)
        expect("its member", "mock-ark-secret", json.loads(credential)["ark_api_key"])
        mock.saw("integration")


@case("workload.variables")
def _(mock):
    with workload(mock) as client:
        got(mock, client)
        variables = client.get_project_env_vars()
        mock.saw("project_env", client=mock.apps["workload"].client_id)
        own = [(one["key"], one["value"]) for one in mock.apps["workload"].variables]
        expect("the variables, in their order", own, [(one.key, one.value) for one in variables])
        expect("three of them", 3, len(own))


@case("workload.lanes")
def _(mock):
    for lane, ppe in (("ppe_x", "1"), ("boe_x", None), ("other", None)):
        with workload(mock, COZE_SERVER_ENV=lane) as client:
            client.get_project_env_vars()
        entries = mock.new_entries()
        expect("a grant and the call", 3, len(entries))
        for entry in entries:
            expect("lane", (200, lane, ppe), (entry["outcome"]["status"], entry["headers"].get("x-tt-env"), entry["headers"].get("x-use-ppe")))


# --- what must be refused ------------------------------------------------------------------------


@case("workload.wrong-secret")
def _(mock):
    with workload(mock, COZE_WORKLOAD_IDENTITY_CLIENT_SECRET="wrong") as client:
        refused(mock, client, 1, 401, "invalid_client", "workload.secret")


@case("workload.unknown-client")
def _(mock):
    with workload(mock, COZE_WORKLOAD_IDENTITY_CLIENT_ID=mock.apps["web"].client_id) as client:
        refused(mock, client, 1, 401, "invalid_client", "workload.client")


@case("workload.json-body")
def _(mock):
    def as_json(form, headers):
        headers["Content-Type"] = "application/json"
        return {"json": form}

    with workload(mock) as client, sent_otherwise(as_json):
        refused(mock, client, 1, 400, "invalid_request", "workload.form")


@case("workload.other-grant")
def _(mock):
    with workload(mock) as client, sent_otherwise(lambda form, _: {"data": {**form, "grant_type": "password"}}):
        refused(mock, client, 1, 400, "unsupported_grant_type", "grant.supported")


@case("workload.subject-type")
def _(mock):
    def other_type(form, _):
        wrong = {"subject_token_type": "urn:ietf:params:oauth:token-type:jwt"} if "subject_token" in form else {}
        return {"data": {**form, **wrong}}

    with workload(mock) as client, sent_otherwise(other_type):
        refused(mock, client, 2, 400, "invalid_request", "workload.subject_type")


@case("workload.subject-unknown")
def _(mock):
    with workload(mock) as client, patch.object(client, "_get_id_token", lambda: "eyJ.eyJ.c2ln"):
        refused(mock, client, 1, 400, "invalid_request", "workload.subject_known")


@case("workload.subject-expired")
def _(mock):
    with workload(mock) as client:
        id_token = client._get_id_token()
        mock.saw("workload_token", grant="client_credentials")
        mock.advance(ID_TOKEN_SECONDS)
        with patch.object(client, "_get_id_token", lambda: id_token):
            refused(mock, client, 1, 400, "invalid_request", "workload.subject_expiry")


@case("workload.subject-of-another")
def _(mock):
    with workload(mock, app="other_workload") as other:
        id_token = other._get_id_token()
        mock.saw("workload_token", grant="client_credentials", client=mock.apps["other_workload"].client_id)
    with workload(mock) as client, patch.object(client, "_get_id_token", lambda: id_token):
        refused(mock, client, 1, 400, "invalid_request", "workload.subject_client")


@case("workload.pat-as-token")
def _(mock):
    with workload(mock) as client, patch.object(client, "get_access_token", lambda: mock.tokens["pat"]):
        segments = "token contains an invalid number of segments"
        outbound_refused(mock, client.get_project_env_vars, "project_env", 401, "4100", "workload.access", segments)


@case("workload.id-token-as-token")
def _(mock):
    with workload(mock) as client:
        id_token = client._get_id_token()
        mock.saw("workload_token", grant="client_credentials")
        with patch.object(client, "get_access_token", lambda: id_token):
            invalid = "authentication is invalid"
            outbound_refused(mock, client.get_project_env_vars, "project_env", 401, "4100", "workload.access", invalid)


@case("workload.no-such-integration")
def _(mock):
    with workload(mock) as client:
        got(mock, client)
        call = lambda: client.get_integration_credential("integration-wechat-bot")  # noqa: E731
        outbound_refused(mock, call, "integration", 500, "500", "workload.integration", "integration is not available")


@case("workload.expired-token")
def _(mock):
    with workload(mock) as client:
        got(mock, client)
        mock.advance(ACCESS_SECONDS)  # and not the SDK's clock: it sends the token until its own ends it
        invalid = "authentication is invalid"
        outbound_refused(mock, client.get_project_env_vars, "project_env", 401, "4100", "token.expiry", invalid)


@case("workload.revoked-token")
def _(mock):
    with workload(mock) as client:
        mock.revoke(got(mock, client))
        invalid = "authentication is invalid"
        outbound_refused(mock, client.get_project_env_vars, "project_env", 401, "4100", "token.revoked", invalid)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    sys.exit(1 if judge(CASES, json.load(sys.stdin), f"coze-workload-identity {version('coze-workload-identity')}") else 0)
