"""httpx-oauth: OAuth2, whose tokens know whether they have ended; a program renews."""

import asyncio
from urllib.parse import parse_qs, urlsplit

import httpx
from httpx_oauth.oauth2 import OAuth2, OAuth2RequestError

from driver import drive
from httpx_oauth_recipe import Coze


class HttpxOauth:
    def begin(self, given):
        self.given = given
        kind = Coze if given.how == "by recipe" else OAuth2
        self.client = kind(given.client_id, given.client_secret, given.authorize, given.token, given.token)
        return asyncio.run(self.client.get_authorization_url(given.redirect_uri, state="s"))

    def asked(self, call):
        try:
            return asyncio.run(call)
        except OAuth2RequestError as error:  # the library gives the answer with it
            raise Exception(f"{error} {error.response.json().get('error_description')}") from error

    def callback(self, url):
        code = parse_qs(urlsplit(url).query)["code"][0]
        self.token = self.asked(self.client.get_access_token(code, self.given.redirect_uri))
        return self.token["access_token"]

    def profile(self):
        if self.token.is_expired():
            self.token = self.asked(self.client.refresh_token(self.token["refresh_token"]))
        bearer = {"authorization": f"Bearer {self.token['access_token']}"}
        answer = httpx.get(self.given.profile, headers=bearer).json()
        return answer["data"]["user_name"] if self.given.how == "by recipe" else answer["name"]


drive(HttpxOauth())
