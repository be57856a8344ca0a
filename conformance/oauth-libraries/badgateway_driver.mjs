// @badgateway/oauth2-client: OAuth2Fetch, which renews by itself.
import { drive, named } from './driver.mjs';
import { OAuth2Client, OAuth2Fetch } from '@badgateway/oauth2-client';
import { cozeFetch } from './coze-fetch.mjs';

drive({
  begin(given) {
    this.given = given;
    const endpoints = { server: given.issuer, authorizationEndpoint: given.authorize, tokenEndpoint: given.token };
    const options = given.how === 'by recipe' ? { fetch: cozeFetch(given.client_id, given.client_secret) } : {};
    this.client = new OAuth2Client({ ...endpoints, clientId: given.client_id, clientSecret: given.client_secret, ...options });
    return this.client.authorizationCode.getAuthorizeUri({ redirectUri: given.redirect_uri, state: 's' });
  },
  async callback(url) {
    const redirect = { redirectUri: this.given.redirect_uri, state: 's' };
    const token = await this.client.authorizationCode.getTokenFromCodeRedirect(url, redirect);
    const getNewToken = () => {
      throw new Error('a login is needed');
    };
    this.calls = new OAuth2Fetch({ client: this.client, getNewToken, getStoredToken: () => token });
    return token.accessToken;
  },
  async profile() {
    return named(this.given, await (await this.calls.fetch(this.given.profile)).json());
  },
});
