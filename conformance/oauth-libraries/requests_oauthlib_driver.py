"""requests-oauthlib: OAuth2Session, which refreshes by itself where it is told how."""

import os

os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # the mock is on this machine

from requests_oauthlib import OAuth2Session  # noqa: E402

from coze_tokens import CozeTokens  # noqa: E402
from driver import drive  # noqa: E402


class RequestsOauthlib:
    def begin(self, given):
        self.given = given
        client = {"client_id": given.client_id, "client_secret": given.client_secret}
        renewal = {"auto_refresh_url": given.token, "auto_refresh_kwargs": client, "token_updater": lambda token: None}
        self.session = OAuth2Session(given.client_id, redirect_uri=given.redirect_uri, **renewal)
        if given.how == "by recipe":
            self.session.mount(given.token, CozeTokens(given.client_id, given.client_secret))
        url, _ = self.session.authorization_url(given.authorize)
        return url

    def callback(self, url):
        secret = self.given.client_secret
        return self.session.fetch_token(self.given.token, authorization_response=url, client_secret=secret)["access_token"]

    def profile(self):
        answer = self.session.get(self.given.profile).json()
        return answer["data"]["user_name"] if self.given.how == "by recipe" else answer["name"]


drive(RequestsOauthlib())
