#!/usr/bin/env python3
"""The released coze-workload-identity behind `coze-auth-shim/1` (README.md)."""

import logging
import os
import platform
from importlib.metadata import version

from shim_wire import Handles, Shim, Unsupported, log  # before the library, which must find its clock

import coze_workload_identity
from coze_workload_identity import ConfigurationError, TokenExchangeError, TokenRetrievalError, WorkloadIdentityError, env_keys
from requests import exceptions

NAME = "coze-workload-identity"
ABOUT = {
    "name": NAME,
    "version": version(NAME),
    "language": "python",
    "runtime": platform.python_version(),
    "caps": (
        "workload workload.lane workload.integration workload.project_env provider.workload provider.parallel timeout documented https clock logs end"
    ).split(),
}
VARIABLES = {
    "client_id": env_keys.COZE_WORKLOAD_IDENTITY_CLIENT_ID,
    "client_secret": env_keys.COZE_WORKLOAD_IDENTITY_CLIENT_SECRET,
    "identity_endpoint": env_keys.COZE_WORKLOAD_IDENTITY_TOKEN_ENDPOINT,
    "access_endpoint": env_keys.COZE_WORKLOAD_ACCESS_TOKEN_ENDPOINT,
    "outbound_endpoint": env_keys.COZE_OUTBOUND_AUTH_ENDPOINT,
    "lane": env_keys.COZE_SERVER_ENV,
}


class ToRunner(logging.Handler):
    def emit(self, record):
        log("error" if record.levelno >= logging.ERROR else record.levelname.lower(), record.getMessage())


LOGGER = logging.getLogger("coze_workload_identity")
LOGGER.addHandler(ToRunner())


class Case:
    """One case: its handles, and a method for each operation. `name` is the protocol's `as`."""

    def __init__(self, base_url, debug):
        LOGGER.setLevel(logging.DEBUG if debug else logging.WARNING)  # WARNING is Python's default
        # The library's tokens are the process's, and the process is this case's.
        coze_workload_identity.client._global_token_cache = None
        if "SSL_CERT_FILE" in os.environ:  # what requests reads in its place
            os.environ["REQUESTS_CA_BUNDLE"] = os.environ["SSL_CERT_FILE"]
        self.clients, self.providers = Handles(), Handles()

    def client_new(self, name, kind, timeout_ms=None, base_url=None, **given):
        if kind != "workload":
            raise Unsupported("workloads alone")
        for member, variable in VARIABLES.items():
            os.environ.pop(variable, None)
            if member in given:
                os.environ[variable] = given[member]
        self.clients[name] = coze_workload_identity.Client(**({"timeout": timeout_ms / 1000} if timeout_ms else {}))

    def workload_token(self, client):
        return token(self.clients[client])

    def workload_integration(self, provider, name):
        credential = self.providers[provider].get_integration_credential(name)
        return {"credential": credential if isinstance(credential, str) else None}

    def workload_project_env(self, provider):
        variables = self.providers[provider].get_project_env_vars()
        return {"variables": [{"name": variable.key, "value": variable.value} for variable in variables]}

    def provider_new(self, name, client, **others):
        if others:
            raise Unsupported(f"a client takes no {', '.join(others)}")
        self.providers[name] = self.clients[client]  # which keeps its token

    def provider_token(self, provider):
        return token(self.providers[provider])

    def provider_parallel(self, provider, callers):
        return SHIM.in_threads([lambda: token(self.providers[provider])] * callers)

    def end(self):
        for client in self.clients.values():
            client.close()


def token(client):
    given = client.get_access_token()
    return {"access_token": given if isinstance(given, str) else None}


KINDS = [  # the first that fits
    (ConfigurationError, "config"),
    ((exceptions.InvalidHeader, exceptions.InvalidURL, exceptions.InvalidSchema, exceptions.MissingSchema), "config"),
    (exceptions.HTTPError, "api"),
    (exceptions.Timeout, "timeout"),
    ((exceptions.JSONDecodeError, exceptions.ContentDecodingError), "parse"),
    (exceptions.RequestException, "transport"),
]


def error(why):
    """What a caller can tell by public members, of the exception or of one that was raised before it: the library wraps those of requests."""
    told = {"kind": "other", "documented": isinstance(why, WorkloadIdentityError)}
    if isinstance(why, TokenRetrievalError):  # "ID Token 请求失败"
        told["grant_type"] = "client_credentials"
    if isinstance(why, TokenExchangeError):  # "Access Token 交换失败"
        told["grant_type"] = "token_exchange"
    while why:
        kind = next((kind for types, kind in KINDS if isinstance(why, types)), None)
        if kind:
            told["kind"] = kind
            if isinstance(why, exceptions.HTTPError):
                told["http_status"] = why.response.status_code
            break
        why = why.__cause__ or why.__context__
    return told


SHIM = Shim(ABOUT, Case, error)

if __name__ == "__main__":
    SHIM.serve()
