"""One world of a mock, as a test sees it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from types import TracebackType
from typing import Any, Dict, Iterable, List, Mapping, Optional, Set, Type, Union
from urllib.parse import quote

from ._control import Control, refusal
from ._errors import AuthorizeError, ControlError, UnmetExpectation, VerifyError
from ._journal import Explanation, JournalEntry, Leak
from ._literals import AppKind, At, DeviceAction, ScriptEnd, TokenKind
from ._specs import Api, Expect, Fault, On, Requests, ScriptStep, Seconds, milliseconds

# The mock waits for 60 s at most; a longer wait is several of them.
_LONGEST_WAIT = 60.0
# How many requests, and how many refusals, a report tells.
_REPORTED, _EXPLAINED = 50, 5


@dataclass(frozen=True)
class MockApp:
    """An app that a world knows, as its owner has registered it."""

    kind: AppKind
    client_id: str
    """Client id; of a JWT app the app id."""
    client_secret: Optional[str]
    """Only of a web app and a workload."""
    key_id: Optional[str]
    """Of a JWT app, for the `kid` of its assertions."""
    private_key: Optional[str]
    """Of a JWT app, in PEM. None if the configuration has only its public key."""
    redirect_uris: List[str]
    """Of web and PKCE apps. One that ends with `:*/*` is any port and path of its host."""
    integrations: Dict[str, str]
    """Of a workload: the credential of each integration, by its name."""
    project_env: Dict[str, str]
    """Of a workload's project: the value of each variable."""

    @classmethod
    def from_json(cls, app: Mapping[str, Any]) -> MockApp:
        """As the control plane tells it."""
        return cls(
            app["kind"],
            app["client_id"],
            app.get("client_secret"),
            app.get("key_id"),
            app.get("private_key"),
            app["redirect_uris"],
            {one["name"]: one["credential"] for one in app.get("integrations", [])},
            {one["key"]: one["value"] for one in app.get("variables", [])},
        )


@dataclass(frozen=True)
class PendingDevice:
    """A device that waits for a person."""

    user_code: str
    client_id: str
    workspace_id: Optional[str]
    expires_in_ms: int
    polled: bool


class Clock:
    """The clock of a world. It is also a stand-in for the module `time` in a client: its `sleep` moves the clock instead of
    waiting, as in `monkeypatch.setattr(cozepy.auth, "time", coze_world.clock)`."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def unix_ms(self) -> int:
        """Unix time in milliseconds."""
        return int(self._control.send("GET", "/clock")["now_ms"])

    def time(self) -> float:
        """Unix time in seconds."""
        return self.unix_ms() / 1000

    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=self.unix_ms())

    def advance(self, by: Seconds) -> None:
        """Advances the clock."""
        self._control.send("POST", "/clock", {"advance_ms": milliseconds(by)})

    def sleep(self, seconds: float) -> None:
        """Advances the clock, and does not wait."""
        self.advance(seconds)

    def set(self, to: Union[datetime, float]) -> None:
        """Sets the clock to a time with a zone, or to Unix seconds. It may go back."""
        if isinstance(to, datetime):
            if to.tzinfo is None:
                raise ValueError("a time without a zone; give it one, such as datetime.timezone.utc")
            to = (to - datetime(1970, 1, 1, tzinfo=timezone.utc)).total_seconds()
        self._control.send("POST", "/clock", {"set_ms": milliseconds(to)})

    def freeze(self) -> None:
        """Stops the clock at its present time."""
        self._control.send("POST", "/clock", {"mode": "frozen"})

    def run_real(self) -> None:
        """Returns to the machine's time."""
        self._control.send("POST", "/clock", {"mode": "real"})

    def is_frozen(self) -> bool:
        """Returns true if the clock moves only when it is set or advanced."""
        return bool(self._control.send("GET", "/clock")["mode"] == "frozen")


class _Placed:
    """What stays in a world until it is removed: at the end of a `with`, or with the world."""

    def __init__(self, control: Control, path: str) -> None:
        self._control, self._path = control, path

    def _remove(self) -> None:
        try:
            self._control.send("DELETE", self._path)
        except ControlError as error:
            # A reset has removed it, or another one of its name or the end of the world.
            if error.status != 404:
                raise

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], where: Optional[TracebackType]
    ) -> None:
        try:
            self._remove()
        except ControlError:
            # The error of the test is the one to see.
            if error is None:
                raise


class FaultHandle(_Placed):
    """A fault in a world. As a context manager it removes the fault at the end."""

    def __init__(self, control: Control, id: str) -> None:
        super().__init__(control, f"/faults/{id}")
        self.id = id

    def matched(self) -> int:
        """Number of requests that the fault's selector matched, those that passed included. 0 if it was removed."""
        return self._count("matched")

    def fired(self) -> int:
        """Number of requests on which the fault acted. 0 if it was removed."""
        return self._count("fired")

    def remove(self) -> None:
        """Removes the fault, and releases the requests that it holds or delays."""
        self._remove()

    def _count(self, what: str) -> int:
        placed = self._control.send("GET", "/faults")["faults"]
        return next((int(one[what]) for one in placed if one["id"] == self.id), 0)

    def __enter__(self) -> FaultHandle:
        return self


class ScriptHandle(_Placed):
    """A script in a world. As a context manager it ends the script at the end."""

    def __init__(self, control: Control, id: str) -> None:
        super().__init__(control, f"/script/{id}")
        self.id = id

    def stop(self) -> None:
        """Ends the script."""
        self._remove()

    def __enter__(self) -> ScriptHandle:
        return self


class Gate(_Placed):
    """A gate, which holds requests to the data plane. As a context manager it opens the gate at the end."""

    def __init__(self, control: Control, name: str) -> None:
        super().__init__(control, f"/gates/{quote(name, safe='')}")
        self.name = name

    def arrived(self, n: int, timeout: Seconds = 10.0) -> bool:
        """Waits until at least `n` requests have arrived at this gate since it was set. Returns false if that did not happen
        in time, which is real time."""
        for wait_ms in _waits(timeout):
            if self._control.send("GET", self._path, arrived=n, timeout_ms=wait_ms)["reached"]:
                return True
        return False

    def waiting(self) -> int:
        """Number of requests that wait at the gate now."""
        return int(self._control.send("GET", self._path, timeout_ms=0)["waiting"])

    def release(self, n: Optional[int] = None) -> None:
        """Releases the `n` requests that have waited longest, or all that wait."""
        self._control.send("POST", f"{self._path}/release", {} if n is None else {"n": n})

    def open(self) -> None:
        """Releases all requests and removes the gate."""
        self._remove()

    def __enter__(self) -> Gate:
        return self


class MockWorld:
    """A world of a mock: apps, users, their codes and tokens, a clock, a journal, gates and faults.

    Each call is a request to the control plane, `control` sends any other one.
    """

    def __init__(self, control: Control, name: Optional[str]) -> None:
        self._control = control
        self._name = name
        self._port_url: Optional[str] = None
        self._taken: Set[int] = set()
        self._lock = threading.Lock()

    @property
    def name(self) -> Optional[str]:
        """The name, and None for the first world of a mock."""
        return self._name

    @property
    def base_url(self) -> str:
        """What a client takes as its base: scheme, host, port and path, without a trailing slash."""
        return self._control.base_url

    @property
    def port_url(self) -> Optional[str]:
        """The URL of the world's own port, without a trailing slash. None if the world has none."""
        return self._port_url

    @property
    def clock(self) -> Clock:
        """The world's clock."""
        return Clock(self._control)

    def control(self, method: str, path: str, body: Optional[object] = None) -> Any:
        """Sends a request to the world's control plane, such as `control("GET", "/tokens")`, and returns its answer as JSON."""
        return self._control.send(method, path, body)

    def open_port(self, port: int = 0) -> str:
        """Opens a port of the world's own, for a client that keeps only host and port of a base URL. 0 is a free port, or the
        one that the world has. Returns its URL."""
        self._port_url = str(self._control.send("PUT", "/port", {"port": port})["port_url"])
        return self._port_url

    def close_port(self) -> None:
        """Closes the port of the world."""
        self._control.send("DELETE", "/port")
        self._port_url = None

    def info(self) -> Dict[str, Any]:
        """The apps and tokens, as `GET /_mock/v1/info` shows them."""
        told: Dict[str, Any] = self._control.send("GET", "/info")
        return told

    def variables(self) -> Dict[str, str]:
        """The environment of a client, by the names that Coze's samples read: `COZE_API_BASE`, `COZE_WEB_OAUTH_CLIENT_ID` …"""
        named: Dict[str, str] = self._control.send("GET", "/variables")["variables"]
        return named

    def apps(self) -> List[MockApp]:
        """The apps, in the order of the configuration."""
        return [MockApp.from_json(app) for app in self.info()["apps"]]

    def app(self, kind: AppKind) -> MockApp:
        """The first app of a kind. A `LookupError` if there is none."""
        apps = self.apps()
        found = next((app for app in apps if app.kind == kind), None)
        if found is None:
            kinds = ", ".join(sorted({app.kind for app in apps}))
            raise LookupError(f"the configuration has no app of the kind {kind}; it has {kinds}")
        return found

    def console_token(self, kind: TokenKind) -> str:
        """The first token of the console of a kind. A `LookupError` if there is none."""
        found = next((token["value"] for token in self.info()["tokens"] if token["kind"] == kind), None)
        if found is None:
            raise LookupError(f"the configuration has no token of the kind {kind}")
        return str(found)

    def requests(self, requests: Optional[Requests] = None, limit: Optional[int] = None) -> List[JournalEntry]:
        """The requests to the data plane that the journal holds, oldest first: those that match, and of them the last `limit`."""
        members = requests.to_json() if requests else {}
        found = self._control.send("GET", "/requests", **members, limit=limit)["requests"]
        return [JournalEntry.from_json(entry) for entry in found]

    def take_request(self, requests: Optional[Requests] = None, timeout: Seconds = 10.0) -> Optional[JournalEntry]:
        """Waits for a request that matches and was not taken before, and takes the oldest. None if there was none in time, which
        is real time."""
        members = requests.to_json() if requests else {}
        after = 0
        for wait_ms in _waits(timeout):
            while True:
                answer = self._control.send("GET", "/requests/next", **members, after=after, timeout_ms=wait_ms)
                if not answer["request"]:
                    break
                entry = JournalEntry.from_json(answer["request"])
                with self._lock:
                    if entry.seq not in self._taken:
                        self._taken.add(entry.seq)
                        return entry
                after = entry.seq
        return None

    def verify(self, *expected: Expect) -> None:
        """Compares the journal with expectations. `VerifyError`, an `AssertionError`, says for each unmet one how many requests
        matched, and which other request was nearest."""
        answer = self._control.send("POST", "/verify", {"expect": [one.to_json() for one in expected]})
        if not answer["ok"]:
            raise VerifyError([UnmetExpectation(one["index"], one["why"]) for one in answer["failures"]])

    def leaks(self) -> List[Leak]:
        """The secrets that requests had where they do not belong, oldest first; at most the last 1,000."""
        return [Leak.from_json(leak) for leak in self._control.send("GET", "/leaks")["leaks"]]

    def leaks_in(self, text: str) -> List[Leak]:
        """Finds the secrets of this world in `text`, such as the log of a client."""
        return [Leak.from_json(leak) for leak in self._control.send("POST", "/leaks", {"text": text})["leaks"]]

    def explain(self, logid: str) -> Optional[Explanation]:
        """Explains the answer with this `X-Tt-Logid`, in whichever world of the mock it was given. None if no journal has it."""
        try:
            return Explanation.from_json(self._control.send("GET", f"/explain/{quote(logid, safe='')}"))
        except ControlError as error:
            if error.status == 404:
                return None
            raise

    def authorize(self, url: str, approve: bool = True, user: Optional[str] = None) -> str:
        """Decides as a user on the consent page of an authorize URL, and returns the redirect that the browser would follow.
        `AuthorizeError` if the mock refuses the authorize request."""
        decision = {"url": url, "action": "approve" if approve else "deny", "user": user}
        status, answer = self._control.answer("POST", "/authorize", decision)
        if status == 200:
            return str(answer["redirect"])
        if "rule" in answer:
            raise AuthorizeError(status, answer["error"], Explanation.from_json(answer))
        raise ControlError(f"POST /authorize: the mock answered {status}: {refusal(answer)}", status)

    def devices(self) -> List[PendingDevice]:
        """The devices that wait for a person."""
        return [PendingDevice(**device) for device in self._control.send("GET", "/device")["pending"]]

    def decide_device(self, user_code: str, action: DeviceAction = "approve") -> None:
        """Decides about a device code, as a user on the device page. `ControlError` if no device waits with this user code."""
        self._control.send("POST", f"/device/{quote(user_code, safe='')}", {"action": action})

    def revoke(self, token: str) -> bool:
        """Revokes an access token, refresh token, PAT or SAT. Returns false if the token is unknown."""
        return self._change_token("revoke", token)

    def restrict(self, token: str) -> bool:
        """Takes the permission of a token: its calls get 4101. Returns false if the token is unknown."""
        return self._change_token("restrict", token)

    def add_key(self, client_id: str, kid: str, public_pem: str) -> None:
        """Adds a public key in PEM to a JWT app, in place of an earlier one of this `kid`."""
        body = {"kid": kid, "public_pem": public_pem}
        self._control.send("POST", f"/apps/{quote(client_id, safe='')}/keys", body)

    def remove_key(self, client_id: str, kid: str) -> None:
        """Removes a key of a JWT app. Its assertions are refused from then on."""
        self._control.send("DELETE", f"/apps/{quote(client_id, safe='')}/keys/{quote(kid, safe='')}")

    def set_enabled(self, client_id: str, enabled: bool) -> None:
        """Switches an app on or off."""
        self._control.send("POST", f"/apps/{quote(client_id, safe='')}", {"enabled": enabled})

    def add_api(self, api: Api) -> str:
        """Adds an API call of your own, in place of an earlier one of the same method and path. Returns its id."""
        return str(self._control.send("POST", "/api", api.to_json())["id"])

    def remove_api(self, id: str) -> bool:
        """Removes an API call of your own. Returns false if none has this id."""
        return self._known("DELETE", f"/api/{quote(id, safe='')}")

    def gate(self, name: str, on: On, at: At = "request") -> Gate:
        """Holds the requests that `on` selects, until the gate is opened. An earlier gate of this name is opened."""
        self._control.send("POST", f"/gates/{quote(name, safe='')}", {"on": on.to_json(), "at": at})
        return Gate(self._control, name)

    def fault(self, on: On, fault: Fault) -> FaultHandle:
        """Applies a fault to the requests that `on` selects, until it is removed. If several faults match a request, only the
        first that acts applies."""
        placed = self._control.send("POST", "/faults", {"on": on.to_json(), **fault.to_json()})
        return FaultHandle(self._control, placed["id"])

    def script(self, on: On, steps: Iterable[ScriptStep], after: ScriptEnd = "pass") -> ScriptHandle:
        """Answers the next requests that `on` selects by `steps`, in order. A script acts before faults; `after` says what
        happens after the last step."""
        body = {"on": on.to_json(), "then": [step.to_json() for step in steps], "after": after}
        return ScriptHandle(self._control, self._control.send("POST", "/script", body)["id"])

    def reset(self) -> None:
        """Deletes all codes, tokens and requests, restarts the ids, opens all gates and removes all faults and scripts. The clock
        keeps its time."""
        self._control.send("POST", "/reset")
        with self._lock:
            self._taken.clear()

    def report(self) -> str:
        """The last 50 requests, one a line, and why the last 5 of the refused ones were refused: what a failed test shows."""
        entries = self.requests(limit=_REPORTED)
        if not entries:
            return f"no requests to {self.base_url}"
        lines = [f"the last {len(entries)} of {entries[-1].seq} requests to {self.base_url}:"]
        refused = [entry for entry in entries if entry.outcome.rule][-_EXPLAINED:]
        for entry in entries:
            lines.append(f"  {entry}")
            why = self.explain(entry.outcome.logid) if entry in refused else None
            lines += [f"      rule: {why}"] if why else []
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.base_url}>"

    def _change_token(self, how: str, token: str) -> bool:
        return self._known("POST", f"/tokens/{how}", {"token": token})

    def _known(self, method: str, path: str, body: Optional[object] = None) -> bool:
        """Returns false if the mock does not know what is changed."""
        try:
            self._control.send(method, path, body)
        except ControlError as error:
            if error.status != 404:
                raise
            return False
        return True


def _waits(timeout: Seconds) -> Iterable[int]:
    """Milliseconds of the waits that make up this time, the first one at once."""
    end = time.monotonic() + milliseconds(timeout) / 1000
    while True:
        left = end - time.monotonic()
        yield round(max(0.0, min(left, _LONGEST_WAIT)) * 1000)
        if end - time.monotonic() <= 0.001:
            return
