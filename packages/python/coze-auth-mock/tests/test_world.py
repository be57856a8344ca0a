"""What a test can do with a world, held against requests over a socket."""

import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timedelta, timezone

import pytest

from coze_auth_mock import (
    Api,
    AuthorizeError,
    ControlError,
    Expect,
    Fault,
    On,
    RequestFilter,
    ScriptStep,
    VerifyError,
)

CALLBACK = "https://app.example/callback"
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
NEW_YEAR = datetime(2026, 1, 1, tzinfo=timezone.utc)


def send(world, path, body=None, bearer=None, form=False):
    """Status, JSON (or text) and headers of an answer."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    if bearer:
        headers["Authorization"] = f"Bearer {bearer}"
    try:
        reply = OPENER.open(urllib.request.Request(world.base_url + path, data, headers), timeout=30)
    except urllib.error.HTTPError as refusal:
        reply = refusal
    with reply:
        text = reply.read().decode()
        try:
            return reply.status, json.loads(text), reply.headers
        except ValueError:
            return reply.status, text, reply.headers


def authorize_url(world, **query):
    given = {"response_type": "code", "client_id": world.app("web").client_id, "redirect_uri": CALLBACK, "state": "s"}
    return f"{world.base_url}/api/permission/oauth2/authorize?{urllib.parse.urlencode({**given, **query})}"


def log_in(world):
    redirect = world.authorize(authorize_url(world))
    code = urllib.parse.parse_qs(urllib.parse.urlsplit(redirect).query)["code"][0]
    app = world.app("web")
    body = {"grant_type": "authorization_code", "client_id": app.client_id, "redirect_uri": CALLBACK, "code": code}
    status, tokens, _ = send(world, "/api/permission/oauth2/token", body, app.client_secret)
    assert status == 200, tokens
    return tokens


def refresh(world, refresh_token):
    app = world.app("web")
    body = {"grant_type": "refresh_token", "client_id": app.client_id, "refresh_token": refresh_token}
    return send(world, "/api/permission/oauth2/token", body, app.client_secret)


def me(world, token="pat_mock_alice"):
    return send(world, "/v1/users/me", bearer=token)[0]


def test_apps_and_tokens_have_types(coze_world):
    web, jwt, workload = coze_world.app("web"), coze_world.app("jwt"), coze_world.app("workload")
    assert web.client_secret == "mock-web-secret" and web.redirect_uris[0] == "http://localhost:*/*"
    assert web.private_key is None and web.integrations == {}
    assert jwt.key_id == "mock-jwt-key-1" and jwt.private_key.startswith("-----BEGIN PRIVATE KEY-----")
    assert "PGDATABASE_URL" in workload.project_env and len(workload.integrations) == 2
    assert [coze_world.console_token("pat"), coze_world.console_token("sat")] == ["pat_mock_alice", "sat_mock_ci"]
    assert [app.kind for app in coze_world.apps()][:2] == ["web", "pkce"]


def test_variables_are_those_of_coze_samples_with_the_base_of_the_world(coze_world):
    variables = coze_world.variables()
    assert variables["COZE_API_BASE"] == coze_world.base_url
    assert variables["COZE_WEB_OAUTH_CLIENT_SECRET"] == "mock-web-secret"
    assert variables["COZE_JWT_OAUTH_PRIVATE_KEY"].startswith("-----BEGIN")


def test_the_clock_is_set_advanced_and_frozen(coze_world):
    clock = coze_world.clock
    assert not clock.is_frozen()
    clock.freeze()
    assert clock.is_frozen()
    clock.set(NEW_YEAR)
    assert clock.now() == NEW_YEAR and clock.time() == NEW_YEAR.timestamp()
    clock.advance(1.5)
    clock.advance(timedelta(minutes=1))
    clock.sleep(2)
    assert clock.unix_ms() == (NEW_YEAR.timestamp() + 63.5) * 1000
    clock.set(1_000_000_000)
    assert clock.now().year == 2001
    with pytest.raises(ValueError, match="not negative"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="without a zone"):
        clock.set(datetime(2026, 1, 1))
    clock.run_real()
    assert not clock.is_frozen() and abs(clock.now() - datetime.now(timezone.utc)) < timedelta(minutes=1)


def test_a_token_ends_on_the_clock_of_its_world(coze_world, coze_auth_mock):
    token = log_in(coze_world)["access_token"]
    assert me(coze_world, token) == 200
    coze_world.clock.advance(timedelta(minutes=16))
    assert me(coze_world, token) == 401
    assert abs(coze_auth_mock.clock.now() - datetime.now(timezone.utc)) < timedelta(minutes=1)


def test_requests_are_entries_of_the_journal(coze_world):
    tokens = log_in(coze_world)
    refresh(coze_world, tokens["refresh_token"])
    refresh(coze_world, tokens["refresh_token"])
    every = coze_world.requests()
    assert [(one.endpoint, one.grant, one.outcome.status) for one in every] == [
        ("authorize", None, 302),
        ("token", "authorization_code", 200),
        ("token", "refresh_token", 200),
        ("token", "refresh_token", 400),
    ]
    refused = every[-1]
    assert (refused.outcome.error, refused.outcome.rule) == ("invalid_grant", "refresh.rotate")
    assert refused.client == coze_world.app("web").client_id and refused.presented == every[1].issued.refresh
    assert every[1].issued.access and refused.issued is None
    assert coze_world.requests(On.grant("refresh_token"), limit=1) == [refused]
    assert coze_world.requests(RequestFilter.any().status(302)) == every[:1]
    logid = refused.outcome.logid
    assert str(refused) == f"4 POST token refresh_token 400 invalid_grant rule=refresh.rotate logid={logid}"
    why = coze_world.explain(logid)
    assert why.rule == "refresh.rotate" and why.fix and str(why).startswith(why.text)
    assert coze_world.explain("20260101000000MOCK00000000000009") is None


def test_a_jwt_is_shown_decoded(coze_world):
    body = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}
    assertion = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiIxIn0.c2ln"
    assert send(coze_world, "/api/permission/oauth2/token", body, assertion)[0] >= 400
    (entry,) = coze_world.requests()
    assert entry.jwt.header == {"alg": "RS256", "kid": "k"} and entry.jwt.payload == {"iss": "1"}


def test_a_request_is_taken_once_and_awaited(coze_world):
    assert coze_world.take_request(timeout=0) is None
    calls = [threading.Thread(target=me, args=(coze_world,)) for _ in range(2)]
    for call in calls:
        call.start()
    taken = [coze_world.take_request(On.endpoint("users_me")) for _ in calls]
    assert sorted(one.seq for one in taken) == [1, 2]
    assert coze_world.take_request(timeout=timedelta(milliseconds=1)) is None
    for call in calls:
        call.join()


def test_expectations_are_compared_with_the_journal(coze_world):
    tokens = log_in(coze_world)
    refresh(coze_world, tokens["refresh_token"])
    coze_world.clock.advance(60)
    refresh(coze_world, tokens["refresh_token"])
    refreshes = On.grant("refresh_token")
    spent = RequestFilter.on(refreshes).rule("refresh.rotate").error("invalid_grant").status(400)
    coze_world.verify(
        Expect.exactly(1, spent.client_id(coze_world.app("web").client_id).path("/api/permission/oauth2/token")),
        Expect.at_least(2, refreshes),
        Expect.at_most(2, refreshes),
        Expect.order([On.endpoint("authorize"), spent]),
        Expect.gaps(60, refreshes),
    )
    with pytest.raises(VerifyError) as unmet:
        coze_world.verify(Expect.exactly(1, refreshes), Expect.at_least(1, On.endpoint("users_me")), Expect.gaps(61, refreshes))
    assert [one.index for one in unmet.value.failures] == [0, 1, 2]
    assert "expectation 0: expected exactly 1 of endpoint token, grant refresh_token; 2 matched" in str(unmet.value)
    assert isinstance(unmet.value, AssertionError)
    for fault in ("reset", "status"):
        with pytest.raises(VerifyError):
            coze_world.verify(Expect.exactly(1, RequestFilter.any().fault(fault)))


def test_authorize_is_decided_as_a_person_does(coze_world):
    approved = coze_world.authorize(authorize_url(coze_world))
    assert approved.startswith(f"{CALLBACK}?code=code_mock_") and approved.endswith("state=s")
    assert "error=access_denied" in coze_world.authorize(authorize_url(coze_world), approve=False)
    with pytest.raises(AuthorizeError) as refused:
        coze_world.authorize(authorize_url(coze_world, redirect_uri="https://evil.example/"))
    assert refused.value.explanation.rule == "authorize.redirect_uri"
    assert refused.value.error in str(refused.value) and refused.value.explanation.fix in str(refused.value)
    with pytest.raises(ControlError, match="expected one of alice"):
        coze_world.authorize(authorize_url(coze_world), user="nobody")


def test_a_device_is_decided_as_a_person_does(coze_world):
    body = {"client_id": coze_world.app("device").client_id}
    _, device, _ = send(coze_world, "/api/permission/oauth2/device/code", body)
    (pending,) = coze_world.devices()
    assert pending.user_code == device["user_code"] and not pending.polled and 0 < pending.expires_in_ms <= 300_000
    poll = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": device["device_code"], **body}
    assert send(coze_world, "/api/permission/oauth2/token", poll)[1]["error_code"] == "authorization_pending"
    coze_world.decide_device(pending.user_code)
    assert coze_world.devices() == []
    coze_world.clock.advance(6)
    assert send(coze_world, "/api/permission/oauth2/token", poll)[0] == 200
    with pytest.raises(ControlError) as unknown:
        coze_world.decide_device("NO-SUCH", "deny")
    assert unknown.value.status == 404


def test_tokens_are_revoked_and_restricted(coze_world):
    assert coze_world.restrict("pat_mock_alice") and me(coze_world) == 403
    assert coze_world.revoke("pat_mock_alice") and me(coze_world) == 401
    assert not coze_world.revoke("of-nobody") and not coze_world.restrict("of-nobody")


def test_an_app_is_switched_off(coze_world):
    device = {"client_id": coze_world.app("device").client_id}
    coze_world.set_enabled(device["client_id"], False)
    assert send(coze_world, "/api/permission/oauth2/device/code", device)[0] >= 400
    coze_world.set_enabled(device["client_id"], True)
    assert send(coze_world, "/api/permission/oauth2/device/code", device)[0] == 200


def test_keys_are_added_and_removed(coze_world):
    app = coze_world.app("jwt").client_id
    keys = lambda: [key["kid"] for key in coze_world.control("GET", f"/apps/{app}/keys")["keys"]]  # noqa: E731
    with pytest.raises(ControlError) as refused:
        coze_world.add_key(app, "k2", "not a key")
    assert refused.value.status == 400 and keys() == ["mock-jwt-key-1"]
    coze_world.remove_key(app, "mock-jwt-key-1")
    assert keys() == []
    public = (
        "-----BEGIN PUBLIC KEY-----\n"
        "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAu1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gunVTLw7onLRnrq0/IzW7yWR7QkrmBL7jTKEn5u"
        "+qKhbwKfBstIs+bMY2Zkp18gnTxKLxoS2tFczGkPLPgizskuemMghRniWaoLcyehkd3qqGElvW/VDL5AaWTg0nLVkjRo9z+40RQzuVaE8AkAFmxZzow3x+VJYKdjykkJ"
        "0iT9wCS0DRTXu269V264Vf/3jvredZiKRkgwlL9xNAwxXFg0x/XFw005UWVRIkdgcKWTjpBP2dPwVZ4WWC+9aGVd+Gyn1o0CLelf4rEjGoXbAAEgAqeGUxrcIlbjXfbc"
        "mwIDAQAB\n-----END PUBLIC KEY-----\n"
    )
    coze_world.add_key(app, "k2", public)
    assert keys() == ["k2"]


def test_faults_act_until_they_are_removed(coze_world):
    with coze_world.fault(On.endpoint("users_me"), Fault.status(503).body("busy").header("retry-after", "3").times(1)) as fault:
        status, text, headers = send(coze_world, "/v1/users/me", bearer="pat_mock_alice")
        assert (status, text, headers["retry-after"]) == (503, "busy", "3")
        assert me(coze_world) == 200
        assert (fault.matched(), fault.fired()) == (2, 1)
    assert coze_world.control("GET", "/faults")["faults"] == [] and fault.fired() == 0
    fault.remove()  # once more, without harm
    kept = coze_world.fault(On.endpoint("users_me").path("/v1/users/me"), Fault.empty_200().skip(1))
    assert [me(coze_world, "of-nobody"), me(coze_world, "of-nobody")] == [401, 200]
    kept.remove()
    assert me(coze_world, "of-nobody") == 401
    assert [one.fault for one in coze_world.requests()] == ["status", None, None, "empty_200", None]


EVERY_FAULT = [
    Fault.status(502).body("<html>").header("a", "b"),
    Fault.delay(timedelta(milliseconds=1)),
    Fault.hold(),
    Fault.reset().at("answer").times(1).skip(0).probability(0.5),
    Fault.close_before_body(),
    Fault.truncate(),
    Fault.truncate_at(3),
    Fault.garbage(),
    Fault.slow_drip(0.001),
    Fault.redirect(307, "https://elsewhere.example/"),
    Fault.wrong_content_type(),
    Fault.empty_200(),
    Fault.dup_header(),
    Fault.member("expires_in", "milliseconds"),
    Fault.member_value("expires_in", 30),
    Fault.member_value("error", None),
    Fault.consent_policy(),
    Fault.callback_307(),
    Fault.callback_twice(),
]


@pytest.mark.parametrize("fault", EVERY_FAULT, ids=lambda fault: fault.to_json()["fault"]["kind"])
def test_the_mock_takes_every_fault(coze_world, fault):
    on = On.endpoint("authorize") if "callback" in repr(fault) or "consent" in repr(fault) else On.token()
    coze_world.fault(on, fault)
    (placed,) = coze_world.control("GET", "/faults")["faults"]
    assert placed["kind"] == fault.to_json()["fault"]["kind"]


def test_the_names_of_the_types_are_those_of_the_mock(coze_world):
    """A kind, a change or an action that the mock learns, or loses, is one here, too."""
    from typing import get_args

    from coze_auth_mock import _literals

    schemas = coze_world.control("GET", "/openapi.json")["components"]["schemas"]
    everything = json.dumps(schemas)
    assert set(get_args(_literals.FaultKind)) == set(schemas["FaultKind"]["enum"])
    assert {fault.to_json()["fault"]["kind"] for fault in EVERY_FAULT} == set(schemas["FaultKind"]["enum"])
    assert set(get_args(_literals.AppKind)) == set(schemas["App"]["properties"]["kind"]["enum"])
    assert set(get_args(_literals.DeviceAction)) == set(schemas["DecideDevice"]["properties"]["action"]["enum"])
    assert set(get_args(_literals.ScriptEnd)) == set(schemas["Script"]["properties"]["after"]["enum"]) - {None}
    assert set(get_args(_literals.At)) == set(schemas["At"]["enum"])
    assert json.dumps({"enum": list(get_args(_literals.MemberChange))})[1:-1] in everything


def test_a_member_of_a_good_answer_is_changed(coze_world):
    coze_world.fault(On.token(), Fault.member_value("expires_in", 30).times(1))
    assert log_in(coze_world)["expires_in"] == 30
    coze_world.fault(On.token(), Fault.member("refresh_token", "absent"))
    assert "refresh_token" not in log_in(coze_world)
    assert coze_world.requests()[-1].change == "refresh_token: absent"


def test_a_script_answers_in_order(coze_world):
    steps = [ScriptStep.error("4100"), ScriptStep.error("busy", 503), ScriptStep.fault(Fault.status(502)), ScriptStep.pass_()]
    with coze_world.script(On.endpoint("users_me"), steps) as script:
        assert [me(coze_world) for _ in range(5)] == [401, 503, 502, 200, 200]
        assert coze_world.requests()[0].script == script.id
    coze_world.script(On.endpoint("users_me"), steps[:1], "repeat")
    assert [me(coze_world), me(coze_world)] == [401, 401]
    script.stop()  # once more, without harm


def test_a_step_keeps_when_its_fault_acts(coze_world):
    tokens = log_in(coze_world)
    coze_world.script(On.grant("refresh_token"), [ScriptStep.fault(Fault.status(500).at("answer"))])
    assert refresh(coze_world, tokens["refresh_token"])[0] == 500
    assert refresh(coze_world, tokens["refresh_token"])[1]["error_code"] == "invalid_grant", "it was not spent"


def test_a_gate_holds_requests(coze_world):
    with coze_world.gate("me", On.endpoint("users_me")) as gate:
        assert not gate.arrived(1, timeout=0)
        seen = []
        calls = [threading.Thread(target=lambda: seen.append(me(coze_world))) for _ in range(3)]
        for call in calls:
            call.start()
        assert gate.arrived(3) and gate.waiting() == 3 and seen == []
        gate.release(1)
        gate.release()
        for call in calls:
            call.join()
        assert seen == [200, 200, 200]
    assert me(coze_world) == 200
    gate.open()  # once more, without harm


def test_api_calls_of_ones_own_are_answered(coze_world):
    bot = coze_world.add_api(Api.json("GET", "/v1/bots/{bot_id}", {"code": 0, "data": {"name": "Mock"}}))
    coze_world.add_api(Api.text("GET", "/v1/busy", "no").status(429).header("retry-after", "3"))
    events = [("conversation.message.delta", {"content": "Hi"}), ("", "[DONE]")]
    coze_world.add_api(Api.events("POST", "/v3/chat", events).pause(0.001))
    assert send(coze_world, "/v1/bots/7", bearer="pat_mock_alice")[1]["data"]["name"] == "Mock"
    status, text, headers = send(coze_world, "/v1/busy", bearer="pat_mock_alice")
    assert (status, text, headers["retry-after"]) == (429, "no", "3")
    stream = send(coze_world, "/v3/chat", {}, "pat_mock_alice")[1]
    assert stream == 'event: conversation.message.delta\ndata: {"content":"Hi"}\n\ndata: [DONE]\n\n'
    assert coze_world.remove_api(bot) and not coze_world.remove_api(bot)
    assert send(coze_world, "/v1/bots/7", bearer="pat_mock_alice")[0] == 404


def test_leaks_are_found(coze_world):
    assert coze_world.leaks() == [] and coze_world.leaks_in("a log") == []
    token = log_in(coze_world)["refresh_token"]
    send(coze_world, f"/v1/users/me?token={token}", bearer="pat_mock_alice")
    (leak,) = coze_world.leaks()
    assert leak.kind == "refresh_token" and leak.logid == coze_world.requests()[-1].outcome.logid
    assert coze_world.requests()[-1].leaks == [leak]
    assert [one.kind for one in coze_world.leaks_in(f"token is {token}")] == ["refresh_token"]
    assert f"leak=refresh_token@{leak.place}" in str(coze_world.requests()[-1])


def test_a_reset_begins_anew(coze_world):
    me(coze_world)
    assert coze_world.take_request().seq == 1
    coze_world.fault(On.token(), Fault.reset())
    coze_world.reset()
    assert coze_world.requests() == [] and coze_world.control("GET", "/faults")["faults"] == []
    me(coze_world)
    assert coze_world.take_request().seq == 1, "it is another one"


def test_worlds_share_nothing(coze_auth_mock):
    one = coze_auth_mock.world("one")
    two = coze_auth_mock.make_world(
        "two", config='[ttl]\naccess = "20s"\n', seed=1, clock="2026-01-01T00:00:00Z", ttl=timedelta(hours=1), port=0
    )
    assert two.clock.now() == NEW_YEAR and two.clock.is_frozen() and not one.clock.is_frozen()
    assert log_in(two)["expires_in"] == NEW_YEAR.timestamp() + 20
    assert one.requests() == [] and len(two.requests()) == 2
    assert (one.name, two.name, coze_auth_mock.name) == ("one", "two", None)
    assert coze_auth_mock.remove_world("two") and not coze_auth_mock.remove_world("two")
    assert coze_auth_mock.remove_world("one")
    with pytest.raises(ControlError, match="expected an integer|unknown|expected"):
        coze_auth_mock.make_world("bad", config="[ttl]\naccess = true\n")


@pytest.mark.coze_world(port=0)
def test_a_world_has_a_port_of_its_own(coze_world):
    url = coze_world.port_url
    assert url and url.count("/") == 2 and not url.startswith(coze_world.base_url)
    with OPENER.open(f"{url}/_mock/v1/info") as reply:
        assert json.loads(reply.read())["base_url"] == url
    coze_world.close_port()
    assert coze_world.port_url is None
    assert coze_world.open_port() == coze_world.port_url != url


def test_a_report_tells_the_last_requests_and_why_they_were_refused(coze_world):
    assert coze_world.report() == f"no requests to {coze_world.base_url}"
    for _ in range(60):
        me(coze_world)
    me(coze_world, "of-nobody")
    lines = coze_world.report().splitlines()
    assert lines[0] == f"the last 50 of 61 requests to {coze_world.base_url}:"
    assert lines[1].startswith("  12 GET users_me 200 rule=-")
    assert lines[50].startswith("  61 GET users_me 401 4100 rule=")
    assert lines[51].strip() == f"rule: {coze_world.explain(coze_world.requests()[-1].outcome.logid)}"
    assert len(lines) == 52
