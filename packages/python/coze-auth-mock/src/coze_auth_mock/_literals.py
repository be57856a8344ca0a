"""Names that the mock knows, for type checkers."""

from typing import Literal

AppKind = Literal["web", "pkce", "device", "jwt", "workload"]
At = Literal["request", "answer"]
Consent = Literal["page", "approve", "deny"]
DeviceAction = Literal["approve", "deny", "expire"]
FaultKind = Literal[
    "status",
    "delay",
    "hold",
    "reset",
    "close_before_body",
    "truncate",
    "garbage",
    "slow_drip",
    "redirect",
    "wrong_content_type",
    "empty_200",
    "dup_header",
    "member",
    "consent_policy",
    "callback_307",
    "callback_twice",
]
MemberChange = Literal["absent", "null", "string", "float", "milliseconds", "too_large", "other_type"]
ScriptEnd = Literal["pass", "repeat", "last"]
TokenKind = Literal["pat", "sat"]
