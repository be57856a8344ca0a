"""The requests that a world has received, as its journal keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional


@dataclass(frozen=True)
class Leak:
    """A secret where it does not belong. Its text is nowhere."""

    kind: str
    """Such as `refresh_token` or `client_secret`."""
    place: str
    """Such as `query` or `header`."""
    name: Optional[str]
    """Of the header or the member."""
    fingerprint: Optional[str]
    """Of the secret."""
    logid: str
    """Of the request; empty for a text."""

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Leak:
        """As the control plane tells it."""
        return cls(found["kind"], found["place"], found.get("name"), found.get("fingerprint"), found["logid"])


@dataclass(frozen=True)
class JournalJwt:
    """A decoded assertion, without its signature."""

    header: Dict[str, Any]
    payload: Dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """How a request was answered."""

    status: int
    """The HTTP status that was sent; 0 if a fault sent none."""
    error: Optional[str]
    """The error code in the body of a refusal."""
    rule: Optional[str]
    """The rule that refused the request."""
    relaxed: List[str]
    """The rules that would have refused the request if they were on."""
    logid: str
    """The `X-Tt-Logid` of the answer."""


@dataclass(frozen=True)
class IssuedTokens:
    """The fingerprints of the tokens of an answer."""

    access: str
    refresh: Optional[str]
    """None from the JWT grant, which issues none."""


@dataclass(frozen=True)
class JournalEntry:
    """One request to the data plane. Codes, tokens, secrets, verifiers, assertions and states are masked."""

    seq: int
    """Number of the request, counted from 1; it starts again at a reset."""
    at_ms: int
    """Unix time by the mock's clock, in milliseconds."""
    endpoint: str
    """`authorize`, `token`, `device_code`, `users_me`, `workspaces`, `api`, `unknown` and those of a workload."""
    method: str
    path: str
    """Path and query, redacted."""
    headers: Dict[str, str]
    """Redacted; the names are in lower case."""
    json: Optional[Dict[str, Any]]
    """The members of a JSON body, redacted."""
    jwt: Optional[JournalJwt]
    """The assertion of a JWT grant, decoded."""
    client: Optional[str]
    """The client id (for the JWT grant: the issuer)."""
    grant: Optional[str]
    """`authorization_code`, `refresh_token`, `device_code`, `jwt_bearer`, `client_credentials` or `token_exchange`."""
    presented: Optional[str]
    """The fingerprint of the presented token or code."""
    issued: Optional[IssuedTokens]
    leaks: List[Leak]
    """The secrets that the request had where they do not belong."""
    outcome: Outcome
    fault: Optional[str]
    """The kind of the fault that acted on the request."""
    script: Optional[str]
    """The id of the script that acted on the request."""
    change: Optional[str]
    """The member that a fault of the kind `member` has changed, and how."""
    elapsed_us: int
    """Time that the answer took, in microseconds of the machine's clock."""

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> JournalEntry:
        """As the control plane tells it."""
        outcome, issued, jwt = entry["outcome"], entry["issued"], entry["jwt"]
        return cls(
            seq=entry["seq"],
            at_ms=entry["at_ms"],
            endpoint=entry["endpoint"],
            method=entry["method"],
            path=entry["path"],
            headers=entry["headers"],
            json=entry["json"],
            jwt=JournalJwt(jwt["header"], jwt["payload"]) if jwt else None,
            client=entry["client"],
            grant=entry["grant"],
            presented=entry["presented"],
            issued=IssuedTokens(issued["access"], issued["refresh"]) if issued else None,
            leaks=[Leak.from_json(leak) for leak in entry.get("leaks", [])],
            outcome=Outcome(
                outcome["status"],
                outcome.get("error"),
                outcome.get("rule"),
                outcome.get("relaxed", []),
                outcome["logid"],
            ),
            fault=entry.get("fault"),
            script=entry.get("script"),
            change=entry.get("change"),
            elapsed_us=entry["elapsed_us"],
        )

    def __str__(self) -> str:
        """One line, as a mock in a Rust test prints it when its test fails."""
        words = [str(self.seq), self.method, self.endpoint]
        words += [self.grant] if self.grant else []
        words += [str(self.outcome.status)]
        words += [self.outcome.error] if self.outcome.error else []
        words += [f"rule={self.outcome.rule or '-'}", f"logid={self.outcome.logid}"]
        words += [f"fault={self.fault}"] if self.fault else []
        words += [f"leak={leak.kind}@{leak.place}" for leak in self.leaks]
        return " ".join(words)


@dataclass(frozen=True)
class Explanation:
    """The explanation of an answer."""

    logid: str
    world: Optional[str]
    """The name of the world; None for the first one."""
    rule: Optional[str]
    """The rule that refused the request; None for a success."""
    text: str
    """The text of the rule, or what succeeded."""
    evidence: Optional[str]
    """How sure we are that Coze has this rule: `documented`, `sdk`, `report` or `guess`."""
    reference: Optional[str]
    """The source of that evidence."""
    expected: Optional[str]
    """What the rule requires."""
    actual: Optional[str]
    """What the request had instead, without any secret."""
    fix: Optional[str]
    """How to fix the client."""
    relaxed: List[str]
    """The rules that would have refused the request if they were on."""

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Explanation:
        """As the control plane tells it."""
        return cls(
            told["logid"],
            told.get("world"),
            told["rule"],
            told["text"],
            told["evidence"],
            told["reference"],
            told["expected"],
            told["actual"],
            told["fix"],
            told["relaxed"],
        )

    def __str__(self) -> str:
        words = [self.text]
        words += [f"Expected {self.expected}; actual {self.actual}."] if self.expected and self.actual else []
        words += [self.fix] if self.fix else []
        return " ".join(words)
