"""What a shim does besides the flows: time, logs, handles, lines that are none."""

import json

from check_steps import client, device, good, login
from mock_case import CALLBACK, case_list, expect

CASES, case = case_list()


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


@case("api.workspaces")
def _(shim):
    shim.case("api.workspaces")
    told = shim.ok("api.workspaces", token=shim.mock.tokens["pat"])
    if told:
        expect("workspaces", True, told["count"] > 0)
        shim.err("api.workspaces", token="pat_wrong")


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
    if device(shim):
        said = [*shim.logs]
        shim.err("device.poll", device="d", on_sleep=lambda *_: "abandon")
        expect("says something", "logs" in shim.caps, bool(said + shim.logs))


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
