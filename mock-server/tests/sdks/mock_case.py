"""A case against a world of the mock that nobody else uses: act, and account for every journal entry."""

import json
import urllib.error
import urllib.request
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

CALLBACK = "https://app.example/callback"  # allowed by the ready-made web and PKCE apps
# Loopback never goes through a proxy, whatever the environment says.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Mismatch(Exception):
    """What was expected and what came."""


def case_list():
    """An empty list of cases, and the decorator that puts a named case into it."""
    cases = []

    def case(name):
        return lambda body: cases.append((name, body))

    return cases, case


def expect(what, expected, got):
    if expected != got:
        raise Mismatch(f"{what}: expected {expected!r}, came {got!r}")


def _control(base, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{base}/_mock/v1{path}", data, method=method)
    request.add_header("content-type", "application/json")
    with _OPENER.open(request, timeout=30) as reply:
        text = reply.read()
    return json.loads(text) if text.strip() else None


@contextmanager
def world_of(info, name, config):
    """A new world of the mock for one case. Its clock stands still until it is told to move."""
    made = _control(info["base_url"], "POST", "/worlds", {"name": name, "config": config})
    try:
        yield Mock(info, made)
    finally:
        _control(info["base_url"], "DELETE", f"/worlds/{name}")


class Mock:
    """A world of the mock as a case sees it: the control plane and the journal."""

    def __init__(self, info, made):
        self._controls = made["base_url"]
        # With a shadow in between, the SDK and the browser have bases of their own.
        self.base = made.get("port_url") or self._controls
        self._browser = made.get("browser_url") or self.base
        self.host = urlsplit(self.base).netloc
        # The first of its kind; the second device app is another one, and so is the second workload.
        self.apps = {app["kind"]: SimpleNamespace(**app) for app in reversed(info["apps"])}
        for kind in ("device", "workload"):
            for other in [app for app in info["apps"] if app["kind"] == kind][1:]:
                self.apps[f"other_{kind}"] = SimpleNamespace(**other)
        self.tokens = {token["kind"]: token["value"] for token in info["tokens"]}
        self._looked_at = 0

    def control(self, method, path, body=None):
        return _control(self._controls, method, path, body)

    def config_file(self, kind):
        """What Coze's console gives for this app as `coze_oauth_config.json` (protocol §9)."""
        app = self.apps[kind]
        config = {"client_type": kind, "client_id": app.client_id, "coze_api_base": self.base, "coze_www_base": self.base}
        if kind == "web":
            config["client_secret"] = app.client_secret
        if kind == "jwt":
            config.update(private_key=app.private_key, public_key_id=app.key_id)
        return config

    def advance(self, seconds):
        self.control("POST", "/clock", {"advance_ms": int(seconds * 1000)})

    def now(self):
        """Whole Unix seconds."""
        return self.control("GET", "/clock")["now_ms"] // 1000

    def user(self, user_code, action):
        """What the person with the user code does on the device page."""
        self.control("POST", f"/device/{user_code}", {"action": action})

    def revoke(self, token):
        self.control("POST", "/tokens/revoke", {"token": token})

    def answer_consent(self, url, action):
        """The browser leg; gives the query of the redirect back to the app."""
        redirect = self.control("POST", "/authorize", {"url": url, "action": action})["redirect"]
        expect("redirect target", CALLBACK, redirect.split("?")[0])
        return {name: values[0] for name, values in parse_qs(urlsplit(redirect).query).items()}

    def approve(self, url, state):
        answer = self.answer_consent(url, "approve")
        expect("callback state", state, answer.get("state"))
        self.saw("authorize", status=302)
        return answer["code"]

    def open_as_browser(self, url):
        """GET without following redirects: (status, log id)."""

        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_):
                return None

        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), Stay)
        try:
            with opener.open(url.replace(self.base, self._browser, 1), timeout=30) as reply:
                return reply.status, reply.headers.get("x-tt-logid")
        except urllib.error.HTTPError as reply:
            with reply:
                return reply.code, reply.headers.get("x-tt-logid")

    # --- the journal -------------------------------------------------------------------------

    def new_entries(self):
        """Entries that no case has looked at yet, oldest first."""
        entries = self.control("GET", "/requests")["requests"]
        new = sorted((e for e in entries if e["seq"] > self._looked_at), key=lambda e: e["seq"])
        if new:
            self._looked_at = new[-1]["seq"]
        return new

    def saw(self, endpoint, status=200, logid=None, error=None, rule=None, client=None, grant=None, path=None):
        """Exactly one new entry, and it is this one. Gives the entry back."""
        new = self.new_entries()
        expect("number of new journal entries", 1, len(new))
        self.check(new[0], endpoint, status, logid, error, rule, client, grant, path)
        return new[0]

    def check(self, entry, endpoint, status=200, logid=None, error=None, rule=None, client=None, grant=None, path=None):
        outcome = entry["outcome"]
        came = (entry["endpoint"], outcome["status"], outcome.get("error"), outcome.get("rule"))
        expect("journal (endpoint, status, error, rule)", (endpoint, status, error, rule), came)
        if logid is not None:
            expect("log id of the SDK against the journal's", outcome["logid"], logid)
        for what, wanted, came in (
            ("client", client, entry["client"]),
            ("grant", grant, entry["grant"]),
            ("path", path, entry["path"].split("?")[0]),
        ):
            if wanted is not None:
                expect(f"journal {what}", wanted, came)

    def explained(self, logid, rule):
        """The log id that the SDK shows leads a person to the rule."""
        if not logid:
            raise Mismatch("the SDK shows no log id")
        expect("rule that /explain names", rule, self.control("GET", f"/explain/{logid}")["rule"])


@cache
def other_key():
    """A private key that no app has."""
    key = rsa.generate_private_key(65537, 2048)
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


class SdkTime:
    """Stands in for `time` inside the SDK: a sleep moves the mock's clock instead of waiting."""

    def __init__(self, mock, during_sleep=None, offset=0, mock_advances=None):
        self.mock, self.sleeps = mock, []
        self._now = mock.now() + offset
        self._during_sleep = during_sleep or (lambda number: None)
        self._mock_advances = mock_advances or (lambda seconds: seconds)

    def time(self):
        return self._now

    def sleep(self, seconds):
        self.sleeps.append(seconds)
        # The SDKs poll without an end of their own (protocol §11); a broken mock must not hang the run.
        if len(self.sleeps) > 100:
            raise Mismatch("polling never ended: more than 100 sleeps")
        self._now += seconds
        self.mock.advance(self._mock_advances(seconds))
        self._during_sleep(len(self.sleeps))


def judge(cases, info, title):
    """Runs all cases in each of the worlds of `info`: one line per case, then the closing line. The number of failures."""
    return sum(_judge_world(cases, info, world, title) for world in info["worlds"])


def _judge_world(cases, info, world, title):
    failed = 0
    for number, (name, body) in enumerate(cases):
        try:
            with world_of(info, f"{world['name']}.{number}", world["config"]) as mock:
                body(mock)
                expect("journal entries that the case does not account for", [], mock.new_entries())
        except Exception as why:  # a case may fail in any way; the run goes on
            failed += 1
            text = " ".join(str(why).split())
            kind = "" if isinstance(why, Mismatch) else f"{type(why).__name__}: "
            print(f"FAIL {name} — {kind}{text}", flush=True)
        else:
            print(f"ok   {name}", flush=True)
    print(f"{title}: {len(cases) - failed} passed, {failed} failed", flush=True)
    return failed
