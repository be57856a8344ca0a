"""The control plane of a mock, `/_mock/v1`, over HTTP."""

from __future__ import annotations

import json
import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Mapping, Optional, Tuple
from urllib.parse import urlencode, urlsplit

from ._errors import ControlError

# The longest wait of the mock is 60 s.
_ANSWER_SECONDS = 90


class Control:
    """Sends each request on a connection of its own, so that threads and forks share nothing. It knows no proxy."""

    def __init__(self, base_url: str, ca_pem: Optional[str] = None, context: Optional[ssl.SSLContext] = None) -> None:
        self.base_url = base_url
        self.ca_pem = ca_pem
        url = urlsplit(base_url)
        self._host, self._port = url.hostname or "", url.port
        self._prefix = f"{url.path}/_mock/v1"
        self._context = context
        if url.scheme == "https" and context is None:
            self._context = ssl.create_default_context(cadata=ca_pem)

    def at(self, base_url: str) -> Control:
        """The same of a world of the mock."""
        return Control(base_url, self.ca_pem, self._context)

    def send(self, method: str, path: str, body: Optional[object] = None, **query: object) -> Any:
        """The answer as JSON. Members of the query that are None are left out."""
        status, answer = self.answer(method, path, body, query)
        if status == 200:
            return answer
        raise ControlError(f"{method} {path}: the mock answered {status}: {refusal(answer)}", status)

    def answer(
        self, method: str, path: str, body: Optional[object] = None, query: Optional[Mapping[str, object]] = None
    ) -> Tuple[int, Any]:
        """The status and the answer, of a refusal as well."""
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = self._prefix + path + (f"?{urlencode(given)}" if given else "")
        connection = self._connection()
        try:
            data = None if body is None else json.dumps(body).encode()
            headers = {"Content-Type": "application/json", "Connection": "close"}
            connection.request(method, target, data, headers)
            reply = connection.getresponse()
            text = reply.read()
        except (OSError, HTTPException) as error:
            raise ControlError(
                f"{method} {path}: the mock does not answer at {self.base_url}, so it has ended: {error}"
            ) from error
        finally:
            connection.close()
        try:
            return reply.status, json.loads(text)
        except ValueError:
            return reply.status, text.decode(errors="replace")

    def _connection(self) -> HTTPConnection:
        if self._context:
            return HTTPSConnection(self._host, self._port, timeout=_ANSWER_SECONDS, context=self._context)
        return HTTPConnection(self._host, self._port, timeout=_ANSWER_SECONDS)


def refusal(answer: Any) -> str:
    """The text of a refusal."""
    try:
        return str(answer["error"])
    except (KeyError, TypeError):
        return str(answer)


def ca_of(base_url: str) -> str:
    """The certificate of the CA of a mock that this process has started. Nothing vouches for it but the address."""
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    return str(Control(base_url, context=trusting).send("GET", "/ca.pem"))
