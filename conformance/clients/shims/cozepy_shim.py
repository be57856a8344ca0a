#!/usr/bin/env python3
"""The released cozepy behind `coze-auth-shim/1` (README.md). With `--async`, its async classes."""

import asyncio
import inspect
import json
import logging
import platform
import sys
from importlib.metadata import version
from urllib.parse import parse_qs, urlsplit

from shim_wire import Handles, Shim, Unsupported, log  # before cozepy, which must find its clock

import cozepy
import httpx
import pydantic

ASYNC = "--async" in sys.argv[1:]
LOOP = asyncio.new_event_loop()
CAPS = (
    "web pkce device jwt refresh api api.workspaces workspace www_base pkce.plain device.poll_once jwt.scope jwt.session_name "
    "provider.jwt provider.parallel client.parallel documented https clock logs end"
).split()
ABOUT = {
    "name": "cozepy (async)" if ASYNC else "cozepy",
    "version": version("cozepy"),
    "language": "python",
    "runtime": platform.python_version(),
    "homepage": "https://github.com/coze-dev/coze-py",
    "issues": "https://github.com/coze-dev/coze-py/issues",
    "caps": CAPS if ASYNC else [*CAPS, "config"],
}


class ToRunner(logging.Handler):
    def emit(self, record):
        log("error" if record.levelno >= logging.ERROR else record.levelname.lower(), record.getMessage())


logging.getLogger("cozepy").handlers = [ToRunner()]


def sdk(name):
    return getattr(cozepy, ("Async" if ASYNC else "") + name)


def done(result):
    return LOOP.run_until_complete(result) if inspect.isawaitable(result) else result


class Case:
    """One case: its handles, and a method for each operation. `name` is the protocol's `as`."""

    def __init__(self, base_url, debug):
        self.base = base_url
        cozepy.setup_logging(logging.DEBUG if debug else logging.WARNING)  # WARNING is the SDK's own default
        self.clients, self.attempts, self.devices, self.providers = Handles(), Handles(), Handles(), Handles()
        self.apis = {}

    def client_new(self, name, kind, client_id, base_url=None, www_base_url=None, **credential):
        others = credential.keys() & {"timeout_ms", "ttl_s"}
        if others:
            raise Unsupported(f"the OAuth apps take no {', '.join(others)}")
        base = base_url or self.base
        www = {"www_base_url": www_base_url} if www_base_url else {}
        if kind == "web":
            app = sdk("WebOAuthApp")(client_id, credential["client_secret"], base, **www)
        elif kind == "pkce":
            app = sdk("PKCEOAuthApp")(client_id, base, **www)
        elif kind == "device":
            app = sdk("DeviceOAuthApp")(client_id, base, **www)
        elif kind == "workload":
            raise Unsupported("no workloads")
        else:
            app = sdk("JWTOAuthApp")(client_id, credential["private_key"], credential["key_id"], base)
        self.clients[name] = app

    def config_load(self, name, config):
        if ASYNC:
            raise Unsupported("load_oauth_app_from_config makes no async apps")
        app = cozepy.load_oauth_app_from_config(config)
        self.clients[name] = app
        kinds = {cozepy.WebOAuthApp: "web", cozepy.PKCEOAuthApp: "pkce", cozepy.DeviceOAuthApp: "device"}
        return {"kind": kinds.get(type(app), "jwt")}

    def web_authorize_url(self, name, client, redirect_uri, **args):
        app = self.clients[client]
        self.attempts[name] = (app, redirect_uri)
        return {"url": app.get_oauth_url(redirect_uri, **args)}

    def pkce_authorize_url(self, name, client, redirect_uri, code_verifier, method=None, **args):
        app = self.clients[client]
        if method:
            args["code_challenge_method"] = method
        self.attempts[name] = (app, redirect_uri, code_verifier)
        return {"url": app.get_oauth_url(redirect_uri, code_verifier, **args), "code_verifier": code_verifier}

    def web_token(self, attempt, callback):
        app, redirect_uri, *verifier = self.attempts[attempt]
        code = parse_qs(urlsplit(callback).query).get("code")
        if not code:
            raise Unsupported("reading the callback is left to the caller, and this one has no code")
        return grant(done(app.get_access_token(redirect_uri, code[0], *verifier)))

    pkce_token = web_token

    def device_start(self, name, client, **args):
        app = self.clients[client]
        device = done(app.get_device_code(**args))
        self.devices[name] = (app, device)
        return {
            "user_code": device.user_code,
            "verification_uri": device.verification_uri,
            "verification_uri_complete": device.verification_url,
            "interval_s": device.interval,
            "expires_in_s": device.expires_in,
        }

    def device_poll(self, device, poll=True):
        app, started = self.devices[device]
        return grant(done(app.get_access_token(started.device_code, poll=poll)))

    def device_poll_once(self, device):
        return self.device_poll(device, poll=False)

    def jwt_token(self, client, **args):
        return grant(done(self.clients[client].get_access_token(**jwt_arguments(**args))))

    def refresh(self, client, refresh_token):
        app = self.clients[client]
        if not hasattr(app, "refresh_access_token"):
            raise Unsupported("JWTOAuthApp has no refresh")
        return grant(done(app.refresh_access_token(refresh_token)))

    def client_parallel(self, call, each):
        if ASYNC:
            return self.in_tasks([lambda args=args: self.later(call, **args) for args in each])
        operation = {"jwt.token": self.jwt_token, "refresh": self.refresh}[call]
        return SHIM.in_threads([lambda args=args: operation(**args) for args in each])

    async def later(self, call, client, **args):
        app = self.clients[client]
        if call == "refresh":
            return grant(await app.refresh_access_token(args["refresh_token"]))
        return grant(await app.get_access_token(**jwt_arguments(**args)))

    def in_tasks(self, calls):
        async def all_at_once():
            return await asyncio.gather(*(call() for call in calls), return_exceptions=True)

        return SHIM.results(done(all_at_once()))

    def provider_new(self, name, client, ttl_s=None, grant=None, **others):
        if grant:
            raise Unsupported("nothing keeps and renews the token of a login")
        if others:
            raise Unsupported(f"JWTAuth takes no {', '.join(others)}")
        ttl = {"ttl": ttl_s} if ttl_s else {}
        self.providers[name] = sdk("JWTAuth")(oauth_app=self.clients[client], **ttl)

    def provider_token(self, provider):
        auth = self.providers[provider]
        return {"access_token": done(auth.atoken) if ASYNC else auth.token}

    def provider_parallel(self, provider, callers):
        auth = self.providers[provider]

        async def later():
            return {"access_token": await auth.atoken}

        if ASYNC:
            return self.in_tasks([later] * callers)
        return SHIM.in_threads([lambda: {"access_token": auth.token}] * callers)

    def api(self, token=None, provider=None):
        if (token, provider) not in self.apis:
            auth = self.providers[provider] if provider else sdk("TokenAuth")(token)
            self.apis[token, provider] = sdk("Coze")(auth=auth, base_url=self.base)
        return self.apis[token, provider]

    def api_workspaces(self, **who):
        return {"count": len(done(self.api(**who).workspaces.list()).items)}

    def api_call(self, **who):
        user = done(self.api(**who).users.me())
        return {"user_id": user.user_id, "user_name": user.user_name}


def jwt_arguments(ttl_s=None, scope=None, session_name=None, **others):
    if others:
        raise Unsupported(f"get_access_token takes no {', '.join(others)}")
    args = {"ttl": ttl_s, "scope": scope and cozepy.Scope.model_validate(scope), "session_name": session_name}
    return {name: value for name, value in args.items() if value is not None}


def grant(token):
    whole = abs(token.expires_in) < 2**53
    result = {"access_token": token.access_token, "expires_at": token.expires_in if whole else None}
    for name in ("refresh_token", "token_type"):
        if getattr(token, name):
            result[name] = getattr(token, name)
    return result


KINDS = [  # the first that fits
    (cozepy.CozePKCEAuthError, "oauth"),
    (cozepy.CozeAPIError, "api"),
    (httpx.TimeoutException, "timeout"),
    ((httpx.InvalidURL, httpx.UnsupportedProtocol), "config"),
    (httpx.DecodingError, "parse"),
    (httpx.RequestError, "transport"),
    ((pydantic.ValidationError, json.JSONDecodeError), "parse"),
    ((ValueError, TypeError, AssertionError), "config"),
    (Exception, "other"),
]


# What the SDK's sample of errors catches, and what its device flow is documented to throw beside it.
DOCUMENTED = (cozepy.CozeAPIError, cozepy.CozePKCEAuthError)


def error(why):
    told = {"kind": next(kind for types, kind in KINDS if isinstance(why, types))}
    told["documented"] = isinstance(why, DOCUMENTED)
    if isinstance(why, cozepy.CozePKCEAuthError):
        told["code"] = why.error.value
    elif isinstance(why, cozepy.CozeAPIError) and why.code is not None:
        told["code"] = str(why.code)
    if getattr(why, "logid", None):
        told["logid"] = why.logid
    return told


SHIM = Shim(ABOUT, Case, error)

if __name__ == "__main__":
    SHIM.serve()
