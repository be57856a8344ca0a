"""Authlib: OAuth2Session, which refreshes by itself."""

from authlib.integrations.requests_client import OAuth2Session

from authlib_recipe import coze
from driver import drive


class Authlib:
    def begin(self, given):
        self.given = given
        options = {"redirect_uri": given.redirect_uri, "token_endpoint": given.token, "update_token": self.store}
        if given.how == "by recipe":
            self.session = coze(OAuth2Session(given.client_id, given.client_secret, **options))
        else:
            self.session = OAuth2Session(given.client_id, given.client_secret, **options)
        url, self.state = self.session.create_authorization_url(given.authorize)
        return url

    def store(self, token, refresh_token=None, access_token=None):
        """Where a program would keep it."""

    def callback(self, url):
        token = self.session.fetch_token(self.given.token, authorization_response=url, state=self.state)
        return token["access_token"]

    def profile(self):
        answer = self.session.get(self.given.profile).json()
        return answer["data"]["user_name"] if self.given.how == "by recipe" else answer["name"]


drive(Authlib())
