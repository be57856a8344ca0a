"""Every flow through a shim, good and refused."""

import json

from check_steps import client, device, good, login, token_requests
from mock_case import CALLBACK, case_list, expect

CASES, case = case_list()


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
        ("session_context", context, lambda entry: entry["jwt"]["payload"]["session_context"]["device_info"]["device_id"] == "d1"),
        ("account_id", "73", lambda entry: "/account/73/" in entry["path"]),
        ("enterprise_id", "e1", lambda entry: "/enterprise_id/e1/" in entry["path"]),
    ):
        token_requests(shim)
        if shim.ok("jwt.token", client="c", ttl_s=600, **{name: value}):
            expect(f"{name} on the wire", True, seen(token_requests(shim)[0]))


@case("client.ttl")
def _(shim):
    shim.case("client.ttl")
    if client(shim, "jwt", ttl_s=600) is not None:
        good(shim, shim.ok("jwt.token", client="c"), 600)


@case("client.parallel")
def _(shim):
    shim.case("client.parallel")
    client(shim, "jwt")
    each = [{"client": "c", "ttl_s": 600 + number} for number in range(8)]
    answer = shim.ok("client.parallel", call="jwt.token", each=each)
    if answer:
        ends = [result["ok"]["expires_at"] - shim.mock.now() for result in answer["results"]]
        expect("each has its own answer", [args["ttl_s"] for args in each], ends)
    each = [{"client": "c", "refresh_token": f"no-refresh-token-{number}"} for number in range(2)]
    answer = client(shim, "web") is not None and shim.ok("client.parallel", call="refresh", each=each)
    if answer:
        expect("each is refused", [True, True], ["err" in result for result in answer["results"]])


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


@case("workload")
def _(shim):
    shim.case("workload")
    if client(shim, "workload") is None:
        expect("workload.token", None, shim.ok("workload.token", client="c"))
        return
    token = shim.ok("workload.token", client="c")
    grants = [entry["grant"] for entry in shim.mock.new_entries()]
    expect("two requests", ["client_credentials", "token_exchange"], grants)
    expect("expires_at", shim.mock.now() + 900, token.get("expires_at", shim.mock.now() + 900))
    shim.case("workload.refused")
    client(shim, "workload", client_secret="another")
    refused = shim.err("workload.token", client="c")
    expect("kind", False, refused["kind"] in ("protocol", "abandoned"))
    expect("step", "client_credentials", refused.get("grant_type", "client_credentials"))
    [entry] = shim.mock.new_entries()
    expect("rule", "workload.secret", entry["outcome"]["rule"])


@case("workload.lane")
def _(shim):
    shim.case("workload.lane")
    if client(shim, "workload", lane="ppe_x") is not None:
        shim.ok("workload.token", client="c")
        lanes = [entry["headers"].get("x-tt-env") for entry in shim.mock.new_entries()]
        expect("lane", ["ppe_x", "ppe_x"], lanes)


@case("workload.provider")
def _(shim):
    shim.case("workload.provider")
    if client(shim, "workload") is None or shim.ok("provider.new", as_="p", client="c") is None:
        for op, args in (("workload.integration", {"name": "integration-feishu-base"}), ("workload.project_env", {})):
            expect(op, None, shim.ok(op, provider="p", **args))
        return
    first = shim.ok("provider.token", provider="p")
    expect("kept", first["access_token"], shim.ok("provider.token", provider="p")["access_token"])
    integration = shim.ok("workload.integration", provider="p", name="integration-volcano-ark")
    if integration:
        expect("credential", {"ark_api_key": "mock-ark-secret", "region": "cn-beijing"}, json.loads(integration["credential"]))
        shim.err("workload.integration", provider="p", name="integration-nobody")
    variables = shim.ok("workload.project_env", provider="p")
    if variables:
        expect("variables", ["COZE_BUCKET_NAME", "PGDATABASE_URL", "GREETING"], [one["name"] for one in variables["variables"]])
    expect("grants", 2, len([entry for entry in shim.mock.new_entries() if entry["grant"]]))


# --- providers -----------------------------------------------------------------------------------


@case("provider")
def _(shim):
    shim.case("provider")
    client(shim, "jwt")
    if shim.ok("provider.new", as_="p", client="c", ttl_s=600) is None:
        if "provider.workload" not in shim.caps:  # else it knows these, and not the provider
            for op, args in (("provider.token", {}), ("provider.parallel", {"callers": 2}), ("api.call", {})):
                expect(op, None, shim.ok(op, provider="p", **args))
        return
    first = shim.ok("provider.token", provider="p")
    expect("kept", first["access_token"], shim.ok("provider.token", provider="p")["access_token"])
    expect("user", "api" in shim.caps, bool(shim.ok("api.call", provider="p")))
    expect("grants", 1, len(token_requests(shim)))
    shim.mock.advance(601)
    expect("renewed", True, first["access_token"] != shim.ok("provider.token", provider="p")["access_token"])


@case("provider.options")
def _(shim):
    shim.case("provider.options")
    client(shim, "jwt")
    scope = {"account_permission": {"permission_list": ["Connector.botChat"]}}
    context = {"device_info": {"device_id": "d1"}}
    for args in (
        {"scope": scope},
        {"session_name": "user-1"},
        {"session_context": context},
        {"account_id": "73"},
        {"enterprise_id": "e1"},
    ):
        if shim.ok("provider.new", as_="p", client="c", ttl_s=600, **args) is not None:
            expect("token", True, bool(shim.ok("provider.token", provider="p")))


@case("provider.parallel")
def _(shim):
    for kind, args, endpoint, requests in (("jwt", {"ttl_s": 600}, "token", 1), ("workload", {}, "workload_token", 2)):
        if not {"provider.parallel", f"provider.{kind}"} <= shim.caps:
            continue
        shim.case("provider.parallel")
        client(shim, kind)
        shim.ok("provider.new", as_="p", client="c", **args)
        results = shim.ok("provider.parallel", provider="p", callers=8)["results"]
        expect("results", [True] * 8, ["ok" in result for result in results])
        asked = [entry for entry in shim.mock.new_entries() if entry["endpoint"] == endpoint]
        expect("at most one grant for each", True, requests <= len(asked) <= 8 * requests)
        shim.mock.advance(901)
        shim.mock.control("POST", "/faults", {"on": {"endpoint": endpoint}, "fault": {"kind": "status", "status": 502}})
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
