#!/usr/bin/env python3
"""The shims against the mock: every operation, good and failing, each line held against the schema.

Exit codes as of `../sdks/run.py`.
"""

import argparse
import json
import os
import shlex
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "sdks"))
from ground import SDKS, Trouble, find_mock, install_python, running_mock, without_proxy  # noqa: E402

if Path(sys.prefix) != SDKS / "check":  # not yet the interpreter that has jsonschema
    try:
        python = str(install_python(SDKS / "check", HERE / "requirements.txt"))
    except (Trouble, OSError) as why:
        print(f"no verdict: {why}", file=sys.stderr)
        sys.exit(2)
    os.execv(python, [python, "-B", *sys.argv])

from mock_case import CALLBACK, Mismatch, Mock, case_list, expect  # noqa: E402
from runner import OPERATIONS, Shim  # noqa: E402
from start import SHIMS, command  # noqa: E402

CASES, case = case_list()
VERIFIER = "a-code-verifier-of-the-runner-0123456789-0123456789"
ACCESS_SECONDS = 15 * 60


def client(shim, kind, **changed):
    """The ready-made app of this kind as `c`; None if the library has no such flow."""
    app = vars(shim.mock.apps[kind])
    given = {name: app[name] for name in ("client_id", "client_secret", "key_id", "private_key") if name in app}
    return shim.ok("client.new", as_="c", kind=kind, **{**given, **changed})


def approved(shim, url, action="approve"):
    return shim.mock.control("POST", "/authorize", {"url": url, "action": action})["redirect"]


def login(shim, kind, **args):
    """An attempt `a`, approved: the callback. None if the library has no such flow."""
    if kind == "pkce":
        args["code_verifier"] = VERIFIER
    started = shim.ok(f"{kind}.authorize_url", as_="a", client="c", redirect_uri=CALLBACK, state="s", **args)
    if started is None:
        return None
    if kind == "pkce" and "pkce.verifier" not in shim.caps:
        expect("the verifier that counts", VERIFIER, started["code_verifier"])
    return approved(shim, started["url"])


def good(shim, grant, seconds=ACCESS_SECONDS):
    """The grant opens the API, and its end is in the mock's time."""
    expect("expires_at", shim.mock.now() + seconds, grant["expires_at"])
    user = shim.ok("api.call", token=grant["access_token"])
    if user:
        expect("user", True, bool(user["user_id"]) and user.get("user_name", "alice") == "alice")


def token_requests(shim):
    return [entry for entry in shim.mock.new_entries() if entry["endpoint"] == "token"]


# --- the flows -----------------------------------------------------------------------------------


@case("web")
def _(shim):
    shim.case("web")
    client(shim, "web")
    for args in ({}, {"workspace_id": "ws_a"}):
        callback = login(shim, "web", **args)
        if callback is None:
            continue
        grant = shim.ok("web.token", attempt="a", callback=callback)
        good(shim, grant)
        new = shim.ok("refresh", client="c", refresh_token=grant["refresh_token"])
        if new:
            good(shim, new)
            shim.err("refresh", client="c", refresh_token=grant["refresh_token"])  # spent


@case("web.refused")
def _(shim):
    shim.case("web.refused")
    client(shim, "web", client_secret="wrong")
    callback = login(shim, "web")
    if callback:
        refused = shim.err("web.token", attempt="a", callback=callback)
        [entry] = token_requests(shim)
        expect("rule", "client.secret", entry["outcome"]["rule"])
        expect("kind", True, refused["kind"] in ("oauth", "api"))
        if "logid" in refused:
            expect("log id", entry["outcome"]["logid"], refused["logid"])
        for url in (f"{CALLBACK}?error=access_denied&state=s", f"{CALLBACK}?state=s"):
            answer = shim.answer(shim.request("web.token", attempt="a", callback=url))
            expect("a callback without a code is no grant", False, "ok" in answer)


@case("pkce")
def _(shim):
    shim.case("pkce")
    client(shim, "pkce")
    for args in ({"method": "S256"}, {"workspace_id": "ws_a", "method": "S256"}, {}):
        callback = login(shim, "pkce", **args)
        if callback:
            good(shim, shim.ok("pkce.token", attempt="a", callback=callback))
    if login(shim, "pkce", method="plain"):
        expect("method", True, bool(shim.ask("pkce.token", attempt="a", callback=f"{CALLBACK}?code=code_none&state=s")))


def device(shim, **args):
    """A device authorization `d`; None if the library has no such flow."""
    client(shim, "device")
    started = shim.ok("device.start", as_="d", client="c", **args)
    if started:
        expect("interval and life", [5, 300], [started["interval_s"], started["expires_in_s"]])
    return started


@case("device")
def _(shim):
    for args in ({}, {"workspace_id": "ws_a"}):
        shim.case("device")
        started = device(shim, **args)
        if started:
            grant = shim.ok("device.poll", device="d", on_sleep=person(shim, started, "approve", 2))
            expect("sleeps", [5000, 5000], shim.sleeps)
            good(shim, grant)


def person(shim, started, action, sleep=1):
    """Acts during this sleep."""
    return lambda *_: len(shim.sleeps) == sleep and shim.mock.user(started["user_code"], action)


@case("device.ends")
def _(shim):
    for action, code in (("deny", "access_denied"), ("expire", "expired_token")):
        shim.case("device.ends")
        started = device(shim)
        if started:
            refused = shim.err("device.poll", device="d", on_sleep=person(shim, started, action))
            expect("refusal", ("oauth", code), (refused["kind"], refused.get("code")))


@case("device.once")
def _(shim):
    shim.case("device.once")
    started = device(shim)
    pending = started and shim.err("device.poll_once", device="d")
    if pending:
        expect("refusal", ("oauth", "authorization_pending"), (pending["kind"], pending.get("code")))
        expect("sleeps", [], shim.sleeps)
        shim.mock.user(started["user_code"], "approve")
        shim.mock.advance(5)
        good(shim, shim.ok("device.poll_once", device="d"))


@case("jwt")
def _(shim):
    shim.case("jwt")
    shim.mock.advance(86400)  # the assertion is made in virtual time, or the mock refuses it
    client(shim, "jwt")
    grant = shim.ok("jwt.token", client="c", ttl_s=600)
    if grant:
        expect("iat", shim.mock.now(), token_requests(shim)[0]["jwt"]["payload"]["iat"])
        good(shim, grant, 600)
    scope = {"account_permission": {"permission_list": ["Connector.botChat"]}}
    context = {"device_info": {"device_id": "d1"}}
    for name, value, seen in (
        ("scope", scope, lambda entry: entry["json"]["scope"]["account_permission"] == scope["account_permission"]),
        ("session_name", "user-1", lambda entry: entry["jwt"]["payload"]["session_name"] == "user-1"),
        ("session_context", context, lambda entry: entry["jwt"]["payload"]["session_context"] == context),
        ("account_id", "73", lambda entry: "/account/73/" in entry["path"]),
        ("enterprise_id", "e1", lambda entry: "/enterprise_id/e1/" in entry["path"]),
    ):
        token_requests(shim)
        if shim.ok("jwt.token", client="c", ttl_s=600, **{name: value}):
            expect(f"{name} on the wire", True, seen(token_requests(shim)[0]))


@case("jwt.refused")
def _(shim):
    shim.case("jwt.refused")
    for changed in ({"key_id": "nobody"}, {"private_key": "not a key"}):
        # A library may look at the key when it is given or when it signs.
        answer = shim.ask("client.new", as_="c", kind="jwt", **{**jwt_app(shim), **changed})
        if "ok" in answer:
            refused = shim.err("jwt.token", client="c", ttl_s=600)
            expect("kind", False, refused["kind"] in ("protocol", "abandoned"))


def jwt_app(shim):
    app = shim.mock.apps["jwt"]
    return {"client_id": app.client_id, "key_id": app.key_id, "private_key": app.private_key}


# --- providers -----------------------------------------------------------------------------------


@case("provider")
def _(shim):
    shim.case("provider")
    client(shim, "jwt")
    if shim.ok("provider.new", as_="p", client="c", ttl_s=600) is None:
        for op, args in (("provider.token", {}), ("provider.parallel", {"callers": 2}), ("api.call", {})):
            expect(op, None, shim.ok(op, provider="p", **args))
        return
    first = shim.ok("provider.token", provider="p")
    expect("kept", first["access_token"], shim.ok("provider.token", provider="p")["access_token"])
    expect("user", True, bool(shim.ok("api.call", provider="p")))
    expect("grants", 1, len(token_requests(shim)))
    shim.mock.advance(601)
    expect("renewed", True, first["access_token"] != shim.ok("provider.token", provider="p")["access_token"])


@case("provider.parallel")
def _(shim):
    if "provider.parallel" not in shim.caps:
        return
    shim.case("provider.parallel")
    client(shim, "jwt")
    shim.ok("provider.new", as_="p", client="c", ttl_s=600)
    results = shim.ok("provider.parallel", provider="p", callers=8)["results"]
    expect("results", [True] * 8, ["ok" in result for result in results])
    expect("at most one grant for each", True, 1 <= len(token_requests(shim)) <= 8)
    shim.mock.advance(601)
    shim.mock.control("POST", "/faults", {"on": {"endpoint": "token"}, "fault": {"kind": "status", "status": 502}})
    results = shim.ok("provider.parallel", provider="p", callers=2)["results"]
    expect("each caller has its own outcome", 2, len(results))
    expect("some have failed", True, any("err" in result for result in results))
    shim.mock.control("DELETE", "/faults")


@case("provider.user")
def _(shim):
    shim.case("provider.user")
    client(shim, "web")
    callback = login(shim, "web")
    grant = callback and shim.ok("web.token", attempt="a", callback=callback)
    if grant:
        kept = {name: grant[name] for name in ("access_token", "refresh_token", "expires_at")}
        if shim.ok("provider.new", as_="p", client="c", grant=kept) is not None:
            token = shim.ok("provider.token", provider="p")["access_token"]
            expect("the login's own token", grant["access_token"], token)


# --- the rest ------------------------------------------------------------------------------------


@case("config")
def _(shim):
    shim.case("config")
    web = shim.mock.apps["web"]
    config = {"client_type": "web", "client_id": web.client_id, "client_secret": web.client_secret}
    base = {"coze_api_base": shim.mock.base, "coze_www_base": shim.mock.base}
    loaded = shim.ok("config.load", as_="c", config={**config, **base})
    if loaded:
        expect("kind", "web", loaded["kind"])
        good(shim, shim.ok("web.token", attempt="a", callback=login(shim, "web")))
        shim.err("config.load", as_="c", config={**config, "client_type": "nonsense"})


@case("api.refused")
def _(shim):
    shim.case("api.refused")
    if shim.ok("api.call", token=shim.mock.tokens["pat"]):
        expect("code", "4100", shim.err("api.call", token="pat_wrong").get("code"))


@case("bases")
def _(shim):
    shim.case("bases")
    if client(shim, "web", www_base_url="http://www.example") is not None:
        url = shim.ok("web.authorize_url", as_="a", client="c", redirect_uri=CALLBACK)["url"]
        expect("www base", True, url.startswith("http://www.example/api/permission/"))
    if client(shim, "device", base_url="http://127.0.0.1:1") is not None:
        refused = shim.err("device.start", as_="d", client="c")
        expect("nobody listens", True, refused["kind"] in ("transport", "api", "other"))


@case("long")
def _(shim):
    shim.case("long", log="debug")
    body = json.dumps({"code": 4000, "msg": "k" * 65_500})  # as much as the mock sends
    fault = {"kind": "status", "status": 400, "body": body, "header": {"content-type": "application/json"}}
    shim.mock.control("POST", "/faults", {"on": {"endpoint": "users_me"}, "fault": fault})
    refused = shim.err("api.call", token="pat_wrong")
    expect("code", True, refused is None or refused.get("code") == "4000")
    shim.mock.control("DELETE", "/faults")


@case("timeout")
def _(shim):
    shim.case("timeout")
    if client(shim, "device", timeout_ms=600) is not None:
        shim.mock.control("POST", "/faults", {"on": {"endpoint": "device_code"}, "fault": {"kind": "hold"}})
        expect("kind", "timeout", shim.err("device.start", as_="d", client="c")["kind"])
        expect("sleeps: HTTP timeouts are real", [], shim.sleeps)
        shim.mock.control("DELETE", "/faults")


@case("abandon")
def _(shim):
    shim.case("abandon")
    if device(shim):
        refused = shim.err("device.poll", device="d", on_sleep=lambda *_: len(shim.sleeps) == 3 and "abandon")
        expect("kind", "abandoned", refused["kind"])
        shim.case("abandon.after")  # it goes on
        expect("goes on", True, bool(device(shim)))


@case("cancel")
def _(shim):
    shim.case("cancel")
    if not device(shim):
        return
    poll = shim.request("device.poll", device="d")
    sleep = shim.receive()
    cancel = shim.request("cancel", id=poll)
    answer = shim.receive()
    expect("answered at once", (cancel, "cancel" in shim.caps), (answer["id"], "ok" in answer))
    shim.mock.advance(5)
    shim.send({"wake": sleep["n"], "unix_ms": shim.unix_ms()})
    last = shim.answer(poll, on_sleep=lambda *_: "abandon")
    expect("kind", "cancelled" if "cancel" in shim.caps else "abandoned", last["err"]["kind"])


@case("logs")
def _(shim):
    shim.case("logs")
    client(shim, "device")
    shim.ok("device.start", as_="d", client="c")
    expect("silent unless asked", [], shim.logs)
    shim.case("logs.debug", log="debug")
    client(shim, "device")
    shim.ok("device.start", as_="d", client="c")
    expect("says something", "logs" in shim.caps, bool(shim.logs))


@case("fresh")
def _(shim):
    shim.case("fresh")
    for kind, op in (("web", "web.authorize_url"), ("device", "device.start"), ("jwt", "jwt.token")):
        if client(shim, kind) is not None:
            shim.case("fresh.after")
            args = {"redirect_uri": CALLBACK} if kind == "web" else {}
            args = args if kind == "jwt" else {"as_": "a", **args}
            answer = shim.answer(shim.request(op, client="c", **args))
            expect("handle of the case before", "protocol", answer.get("err", {}).get("kind"))


@case("nonsense")
def _(shim):
    shim.case("nonsense")
    time = {"unix_ms": shim.unix_ms()}
    for line, number in (
        ("no json", None),
        ("[1, 2]", None),
        ("null", None),
        ("", None),
        (json.dumps({"id": 900, "op": "case", "args": [], **time}), 900),
        (json.dumps({"id": 901, "op": "case"}), 901),
        (json.dumps({"id": 902, "op": "case", "args": {"id": "nonsense"}, **time}), 902),
        (json.dumps({"wake": 99999, **time}), None),
    ):
        shim.write(line)
        answer = shim.receive()
        expect(f"answer to {line!r}", (number, "protocol"), (answer["id"], answer.get("err", {}).get("kind")))
    for op in ("no.such", "constructor", "__init__", "web", "web_token", "poll"):
        shim.write(json.dumps({"id": 904, "op": op, "args": {}, **time}))
        expect(f"unknown operation {op}", True, "unsupported" in shim.receive())
    shim.case("nonsense.after")


# --- runs ----------------------------------------------------------------------------------------


def life(start, mock):
    """Starting, ending and being killed in the middle."""
    shim = start()
    shim.write(json.dumps({"id": 1, "op": "api.call", "args": {"token": "t"}, "unix_ms": 1}))
    early = shim.receive()
    expect("before a case", True, "unsupported" in early or early.get("err", {}).get("kind") == "protocol")
    expect("exit code after exit", 0, shim.end())
    shim = start()
    shim.hello()
    shim.case("life")
    if device(shim):
        shim.request("device.poll", device="d")
        shim.receive()
    expect("exit code at the end of input, asleep", 0, shim.end(by_exit=False))
    shim = start()
    shim.hello()
    shim.kill()
    shim = start()
    shim.hello()
    shim.end()


def check(name, line, environment, mock):
    """One line for each case; the number of failures."""

    def start():
        return Shim(line, environment, mock)

    failed, shim = 0, start()
    about = shim.hello()
    cases = CASES + [("life", lambda _: life(start, mock)), ("every-operation", every_operation)]
    for title, body in cases:
        try:
            body(shim)
        except Exception as why:
            failed += 1
            print(f"FAIL {name} {title} — {type(why).__name__}: {why}", flush=True)
            mock.control("DELETE", "/faults")
            shim.kill()
            asked, shim = shim.asked, start()
            shim.hello()
            shim.asked |= asked
        else:
            print(f"ok   {name} {title}", flush=True)
    shim.end()
    print(f"{about['name']} {about['version']}: {len(cases) - failed} passed, {failed} failed", flush=True)
    return failed


def every_operation(shim):
    missing = {op for op in OPERATIONS - shim.asked if op == "refresh" or op.split(".")[0] in shim.caps}
    expect("operations that no case asked for", set(), missing - ({"refresh"} - shim.caps))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mock", metavar="PATH", help="binary of the mock server; built with cargo if not given")
    parser.add_argument("--command", metavar="LINE", help="what starts a shim of yours, instead of those here")
    parser.add_argument("shims", nargs="*", metavar="SHIM", help=f"of {', '.join(SHIMS)}; all if none is named")
    given = parser.parse_args()
    unknown = set(given.shims) - set(SHIMS)
    if unknown:
        parser.error(f"no such shim: {', '.join(unknown)}")
    try:
        with running_mock(find_mock(given.mock)) as info:
            if given.command:
                chosen = {"yours": (shlex.split(given.command), without_proxy())}
            else:
                chosen = {name: command(name) for name in given.shims or SHIMS}
            failed = sum([check(name, *start, Mock(json.loads(info))) for name, start in chosen.items()])
    except (Trouble, Mismatch, OSError) as why:  # a shim that cannot say hello has no verdict either
        print(f"no verdict: {why}", file=sys.stderr)
        return 2
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
