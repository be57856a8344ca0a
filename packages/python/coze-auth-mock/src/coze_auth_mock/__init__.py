"""A mock Coze (扣子) auth server for tests in Python: starts `coze-auth-mock`, and controls it.

`start` gives a running mock, and each of its worlds has apps, tokens, a clock, faults and a journal of its own. The names
are those of the Rust library `coze_auth_mock`. The pytest plugin of this package has the fixtures `coze_auth_mock` and
`coze_world`.

>>> import coze_auth_mock
>>> with coze_auth_mock.start() as mock:
...     mock.world("alpha").base_url == mock.base_url + "/t/alpha"
True
"""

from ._errors import AuthorizeError, ControlError, MockError, StartError, UnmetExpectation, VerifyError
from ._journal import Explanation, IssuedTokens, JournalEntry, JournalJwt, Leak, Outcome
from ._server import CozeAuthMock, find_binary, start
from ._specs import Api, Expect, Fault, On, RequestFilter, ScriptStep
from ._world import Clock, FaultHandle, Gate, MockApp, MockWorld, PendingDevice, ScriptHandle

__all__ = [
    "Api",
    "AuthorizeError",
    "Clock",
    "ControlError",
    "CozeAuthMock",
    "Expect",
    "Explanation",
    "Fault",
    "FaultHandle",
    "Gate",
    "IssuedTokens",
    "JournalEntry",
    "JournalJwt",
    "Leak",
    "MockApp",
    "MockError",
    "MockWorld",
    "On",
    "Outcome",
    "PendingDevice",
    "RequestFilter",
    "ScriptHandle",
    "ScriptStep",
    "StartError",
    "UnmetExpectation",
    "VerifyError",
    "find_binary",
    "start",
]
