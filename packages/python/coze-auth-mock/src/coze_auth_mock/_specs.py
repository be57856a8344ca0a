"""What a test asks of a mock: which requests, what goes wrong with them, and what the journal has to have."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Dict, Iterable, Mapping, Optional, Tuple, Union

from ._literals import At, FaultKind, MemberChange

Seconds = Union[float, timedelta]
"""Seconds as a number, or a `timedelta`."""


# Not members of a fault, but of what places it.
_BESIDE_A_FAULT = ("at", "times", "skip", "probability")


def milliseconds(time: Seconds) -> int:
    seconds = time.total_seconds() if isinstance(time, timedelta) else time
    if seconds < 0:
        raise ValueError("a time is not negative")
    return round(seconds * 1000)


class _Spec:
    """Members of a JSON body. It does not change: each method gives another one."""

    def __init__(self, members: Mapping[str, Any]) -> None:
        self._members: Dict[str, Any] = dict(members)

    def to_json(self) -> Dict[str, Any]:
        """As the control plane takes it."""
        return dict(self._members)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Spec):
            return NotImplemented
        return type(other) is type(self) and other._members == self._members

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        members = ", ".join(f"{name}={value!r}" for name, value in self._members.items())
        return f"{type(self).__name__}({members})"


class On(_Spec):
    """A selector of requests to the data plane: what a gate, a fault or a script acts on.

    >>> On.grant("refresh_token").client("1234.app.coze")
    On(endpoint='token', grant='refresh_token', client_id='1234.app.coze')
    """

    @classmethod
    def token(cls) -> On:
        """All requests to the token endpoint."""
        return cls({"endpoint": "token"})

    @classmethod
    def grant(cls, name: str) -> On:
        """The requests to a token endpoint of one grant type: `authorization_code`, `refresh_token`, `device_code` or
        `jwt_bearer`, or of a workload `client_credentials` or `token_exchange`."""
        of_workload = name in ("client_credentials", "token_exchange")
        return cls({"endpoint": "workload_token" if of_workload else "token", "grant": name})

    @classmethod
    def endpoint(cls, name: str) -> On:
        """The requests to one endpoint: `authorize`, `token`, `device_code`, `workload_token`, `integration`,
        `project_env`, `users_me`, `workspaces`, `api` or `unknown`."""
        return cls({"endpoint": name})

    def client(self, client_id: str) -> On:
        """Restricts the selection to requests that claim this client id (for the JWT grant: this issuer)."""
        return On({**self._members, "client_id": client_id})

    def path(self, path: str) -> On:
        """Restricts the selection to requests of this path, character for character, without their query."""
        return On({**self._members, "path": path})


class RequestFilter(_Spec):
    """A filter over journal entries. It is made from an `On` or by `any`, and each method adds a condition.

    >>> RequestFilter.on(On.grant("refresh_token")).rule("refresh.rotate")
    RequestFilter(endpoint='token', grant='refresh_token', rule='refresh.rotate')
    """

    @classmethod
    def any(cls) -> RequestFilter:
        """Matches every request."""
        return cls({})

    @classmethod
    def on(cls, on: On) -> RequestFilter:
        """Matches the requests that `on` selects."""
        return cls(on.to_json())

    def client_id(self, client_id: str) -> RequestFilter:
        """Matches requests of this client id (for the JWT grant: of this issuer)."""
        return self._with("client_id", client_id)

    def path(self, path: str) -> RequestFilter:
        """Matches requests of this path, without their query."""
        return self._with("path", path)

    def status(self, status: int) -> RequestFilter:
        """Matches requests that were answered with this HTTP status; 0 if nothing was sent."""
        return self._with("status", status)

    def error(self, error: str) -> RequestFilter:
        """Matches requests that were answered with this error code."""
        return self._with("error", error)

    def rule(self, rule: str) -> RequestFilter:
        """Matches requests that this rule refused."""
        return self._with("rule", rule)

    def fault(self, kind: FaultKind) -> RequestFilter:
        """Matches requests on which a fault of this kind acted."""
        return self._with("fault", kind)

    def _with(self, name: str, value: object) -> RequestFilter:
        return RequestFilter({**self._members, name: value})


Requests = Union[On, RequestFilter]
"""Which requests of a journal."""


class Fault(_Spec):
    """A fault of a request or its answer, and how often it acts. A fault that replaces the answer acts at the request, before
    the mock has acted. A fault that changes the answer acts at the answer, after the mock has acted. `at` overrides this.

    >>> Fault.status(503).header("retry-after", "3").times(1)
    Fault(kind='status', status=503, header={'retry-after': '3'}, times=1)
    """

    @classmethod
    def status(cls, status: int) -> Fault:
        """Answers with this status, as a gateway in front of Coze would."""
        return cls({"kind": "status", "status": status})

    @classmethod
    def delay(cls, by: Seconds) -> Fault:
        """Delays the answer by real time, at most 60 s."""
        return cls({"kind": "delay", "ms": milliseconds(by)})

    @classmethod
    def hold(cls) -> Fault:
        """Holds the answer until the fault is removed or the client disconnects."""
        return cls({"kind": "hold"})

    @classmethod
    def reset(cls) -> Fault:
        """Resets the connection (RST) instead of an answer."""
        return cls({"kind": "reset"})

    @classmethod
    def close_before_body(cls) -> Fault:
        """Sends the head with its `Content-Length`, then closes the connection (FIN)."""
        return cls({"kind": "close_before_body"})

    @classmethod
    def truncate(cls) -> Fault:
        """Closes the connection (FIN) in the middle of the body."""
        return cls({"kind": "truncate"})

    @classmethod
    def truncate_at(cls, byte: int) -> Fault:
        """Closes the connection (FIN) after this many bytes of the body, but always before its last byte."""
        return cls({"kind": "truncate", "at_byte": byte})

    @classmethod
    def garbage(cls) -> Fault:
        """Sends bytes that are not HTTP, then closes the connection (FIN)."""
        return cls({"kind": "garbage"})

    @classmethod
    def slow_drip(cls, pause: Seconds) -> Fault:
        """Sends the answer byte by byte with this pause between the bytes; after 60 s it sends the rest at once."""
        return cls({"kind": "slow_drip", "ms": milliseconds(pause)})

    @classmethod
    def redirect(cls, status: int, location: str) -> Fault:
        """Answers with a redirect, which Coze does not send."""
        return cls({"kind": "redirect", "status": status, "location": location})

    @classmethod
    def wrong_content_type(cls) -> Fault:
        """Sends the answer as `text/html`, or with the `Content-Type` that `header` sets."""
        return cls({"kind": "wrong_content_type"})

    @classmethod
    def empty_200(cls) -> Fault:
        """Answers 200 without `Content-Type` and body."""
        return cls({"kind": "empty_200"})

    @classmethod
    def dup_header(cls) -> Fault:
        """Sends the answer with its `Content-Type` twice, or with a second value for each header that `header` sets."""
        return cls({"kind": "dup_header"})

    @classmethod
    def member(cls, member: str, change: MemberChange) -> Fault:
        """Changes one member of a good answer: a name such as `expires_in`, or names with stops between them."""
        return cls({"kind": "member", "member": member, "to": change})

    @classmethod
    def member_value(cls, member: str, value: object) -> Fault:
        """Gives one member of a good answer this value, which has to be JSON. An answer without the member gets it."""
        return cls({"kind": "member", "member": member, "value": value})

    @classmethod
    def consent_policy(cls) -> Fault:
        """Serves the consent page with `form-action 'self'`: a browser then stops the redirect to the app."""
        return cls({"kind": "consent_policy"})

    @classmethod
    def callback_307(cls) -> Fault:
        """Redirects to the app with 307 instead of 302, so that a browser sends the form of the consent page to the app."""
        return cls({"kind": "callback_307"})

    @classmethod
    def callback_twice(cls) -> Fault:
        """Makes a browser request the callback twice, as a prefetch or a second click does."""
        return cls({"kind": "callback_twice"})

    def body(self, body: str) -> Fault:
        """Sets the body, instead of the fault's own or that of the answer."""
        return self._with("body", body)

    def header(self, name: str, value: str) -> Fault:
        """Sets a header of the answer."""
        return self._with("header", {**self._members.get("header", {}), name: value})

    def at(self, at: At) -> Fault:
        """Sets when the fault acts: before the mock has acted (`request`), or after it has (`answer`)."""
        return self._with("at", at)

    def times(self, times: int) -> Fault:
        """Sets the maximum number of requests on which the fault acts; by default it acts on all."""
        return self._with("times", times)

    def skip(self, skip: int) -> Fault:
        """Sets the number of requests that pass before the fault acts."""
        return self._with("skip", skip)

    def probability(self, probability: float) -> Fault:
        """Sets the share of the requests on which the fault acts, 0 to 1. The seed decides, so the same run repeats."""
        return self._with("probability", probability)

    def _with(self, name: str, value: object) -> Fault:
        return Fault({**self._members, name: value})

    def to_json(self) -> Dict[str, Any]:
        """As the control plane takes it: the fault itself, and beside it when and how often it acts."""
        inside = {name: value for name, value in self._members.items() if name not in _BESIDE_A_FAULT}
        beside = {name: value for name, value in self._members.items() if name in _BESIDE_A_FAULT}
        return {"fault": inside, **beside}


class ScriptStep(_Spec):
    """A step of a script: the answer to one request.

    >>> ScriptStep.error("invalid_grant")
    ScriptStep(error='invalid_grant')
    """

    @classmethod
    def pass_(cls) -> ScriptStep:
        """Answers as without the script; a fault may still act on the request."""
        return cls({"pass": True})

    @classmethod
    def error(cls, code: str, status: Optional[int] = None) -> ScriptStep:
        """Answers with the error `code` in Coze's shape, without acting: a code such as `invalid_grant` as an OAuth error, one
        that consists of digits as a resource error. Without `status` it is that of the first rule with this code, else 400."""
        return cls({"error": code} if status is None else {"error": code, "status": status})

    @classmethod
    def fault(cls, fault: Fault) -> ScriptStep:
        """Applies this fault, whatever its `times`, `skip` and `probability` are."""
        placed = fault.to_json()
        return cls({name: placed[name] for name in ("fault", "at") if name in placed})


class Expect(_Spec):
    """One expectation about the requests of a world.

    >>> Expect.exactly(1, On.grant("refresh_token"))
    Expect(endpoint='token', grant='refresh_token', count={'eq': 1})
    """

    @classmethod
    def exactly(cls, n: int, requests: Requests) -> Expect:
        """Expects exactly `n` matching requests."""
        return cls({**requests.to_json(), "count": {"eq": n}})

    @classmethod
    def at_least(cls, n: int, requests: Requests) -> Expect:
        """Expects at least `n` matching requests."""
        return cls({**requests.to_json(), "count": {"at_least": n}})

    @classmethod
    def at_most(cls, n: int, requests: Requests) -> Expect:
        """Expects at most `n` matching requests."""
        return cls({**requests.to_json(), "count": {"at_most": n}})

    @classmethod
    def order(cls, requests: Iterable[Requests]) -> Expect:
        """Expects matching requests in this order, with any others in between."""
        return cls({"order": [one.to_json() for one in requests]})

    @classmethod
    def gaps(cls, least: Seconds, requests: Requests) -> Expect:
        """Expects two or more matching requests, each at least `least` after the one before, by the mock's clock."""
        return cls({"gaps_ms": {**requests.to_json(), "min": milliseconds(least)}})


class Api(_Spec):
    """An API call of your own: a method, a path, and the answer to a request with a good access token. A segment `{name}` of
    the path stands for any one segment.

    >>> Api.json("GET", "/v1/bots/{bot_id}", {"code": 0})
    Api(method='GET', path='/v1/bots/{bot_id}', json={'code': 0})
    """

    @classmethod
    def json(cls, method: str, path: str, json: object) -> Api:
        """Answers with this JSON."""
        return cls({"method": method, "path": path, "json": json})

    @classmethod
    def text(cls, method: str, path: str, text: str) -> Api:
        """Answers with this text, as `application/json` if it is a JSON object or array, else as `text/plain`."""
        return cls({"method": method, "path": path, "text": text})

    @classmethod
    def events(cls, method: str, path: str, events: Iterable[Tuple[str, object]]) -> Api:
        """Answers with a stream of server-sent events, each with its name (empty for one without) and its data: a text, or
        what is sent as JSON."""
        all_events = [{"event": name, "data": data} if name else {"data": data} for name, data in events]
        return cls({"method": method, "path": path, "events": all_events})

    def status(self, status: int) -> Api:
        """Sets the status of the answer, 200 unless it is set."""
        return Api({**self._members, "status": status})

    def header(self, name: str, value: str) -> Api:
        """Sets a header of the answer."""
        return Api({**self._members, "header": {**self._members.get("header", {}), name: value}})

    def pause(self, pause: Seconds) -> Api:
        """Sets the pause between two events, in real time, at most 60 s."""
        return Api({**self._members, "pause_ms": milliseconds(pause)})
