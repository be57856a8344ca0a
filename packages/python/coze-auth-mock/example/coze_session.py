"""Keeps people logged in to Coze, over cozepy. This is the program; its tests are beside it."""

import time
from typing import Callable

import httpx
from cozepy import CozeAPIError, OAuthToken

RENEWED_BEFORE = 60  # seconds before the end of a token


class LoginNeeded(Exception):
    """Coze does not take the refresh token any more: the person has to log in again."""


class TryLater(Exception):
    """Coze did not answer, or what stands before it did. The login may still be good."""


class Session:
    """The login of one person. `app` is a `WebOAuthApp`, a `PKCEOAuthApp` or a `DeviceOAuthApp`; `save` gets each new token."""

    def __init__(self, app, token: OAuthToken, save: Callable[[OAuthToken], None] = lambda token: None) -> None:
        self._app, self._token, self._save = app, token, save

    def access_token(self) -> str:
        """An access token that is valid for a minute at least."""
        if time.time() >= self._token.expires_in - RENEWED_BEFORE:
            self._renew()
        return self._token.access_token

    def _renew(self) -> None:
        try:
            token = self._app.refresh_access_token(self._token.refresh_token)
        except CozeAPIError as error:
            # Of an answer that is not Coze's, the code is the HTTP status. A refusal of a refresh token has none.
            if error.code:
                raise TryLater(f"HTTP {error.code}") from error
            raise LoginNeeded(error.logid) from error
        except httpx.TransportError as error:
            raise TryLater(type(error).__name__) from error
        # Refresh tokens work once, so the new one is kept before anything else happens.
        self._save(token)
        self._token = token
