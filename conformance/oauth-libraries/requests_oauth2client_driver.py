"""requests-oauth2client: OAuth2Client, and an authentication of requests that refreshes by itself."""

import requests
from requests_oauth2client import OAuth2AccessTokenAuth, OAuth2Client

from coze_tokens import CozeTokens
from driver import drive


class RequestsOauth2client:
    def begin(self, given):
        self.given = given
        session = requests.Session()
        if given.how == "by recipe":
            session.mount(given.token, CozeTokens(given.client_id, given.client_secret))
        self.client = OAuth2Client(
            given.token,
            authorization_endpoint=given.authorize,
            redirect_uri=given.redirect_uri,
            auth=(given.client_id, given.client_secret),
            session=session,
            testing=True,  # plain http
        )
        self.request = self.client.authorization_request(scope=None)
        return str(self.request)

    def callback(self, url):
        token = self.client.authorization_code(self.request.validate_callback(url))
        self.auth = OAuth2AccessTokenAuth(self.client, token)
        return token.access_token

    def profile(self):
        answer = requests.get(self.given.profile, auth=self.auth).json()
        return answer["data"]["user_name"] if self.given.how == "by recipe" else answer["name"]


drive(RequestsOauth2client())
