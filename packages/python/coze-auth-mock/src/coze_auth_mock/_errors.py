"""What can go wrong between a test and its mock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Sequence

from ._journal import Explanation


class MockError(Exception):
    """An error of the mock, and not of the program that is tested."""


class StartError(MockError):
    """The binary was not found, or did not start; the text says what it printed."""


class ControlError(MockError):
    """The mock refused what a test asked of it, or does not answer.

    `status` is the HTTP status of the refusal, and None without an answer.
    """

    def __init__(self, text: str, status: Optional[int] = None) -> None:
        super().__init__(text)
        self.status = status


class AuthorizeError(ControlError):
    """The mock refused an authorize request: the browser would have shown an error."""

    def __init__(self, status: int, error: str, explanation: Explanation) -> None:
        super().__init__(f"{error}: {explanation}", status)
        self.error = error
        """Coze's code."""
        self.explanation = explanation
        """The rule that refused the request, and how to fix the client."""


@dataclass(frozen=True)
class UnmetExpectation:
    """An expectation that was not met."""

    index: int
    """The position of the expectation, counted from 0."""
    why: str
    """What was expected, which requests matched, and which other request was nearest."""


class VerifyError(AssertionError):
    """Unmet expectations; the text says for each why."""

    def __init__(self, failures: Sequence[UnmetExpectation]) -> None:
        super().__init__("\n".join(f"expectation {one.index}: {one.why}" for one in failures))
        self.failures: List[UnmetExpectation] = list(failures)
