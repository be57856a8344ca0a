// @n8n/client-oauth2: ClientOAuth2, whose tokens know whether they have ended; n8n renews.
import { drive, nameOf } from './driver.mjs';
import n8n from '@n8n/client-oauth2';
import { Coze } from './n8n-recipe.mjs';

drive({
  begin(given) {
    this.given = given;
    const endpoints = { authorizationUri: given.authorize, accessTokenUri: given.token, redirectUri: given.redirect_uri };
    const kind = given.how === 'by recipe' ? Coze : n8n.ClientOAuth2;
    this.client = new kind({ ...endpoints, clientId: given.client_id, clientSecret: given.client_secret, state: 's' });
    return this.client.code.getUri();
  },
  async callback(url) {
    this.token = await this.client.code.getToken(url);
    return this.token.accessToken;
  },
  async profile() {
    if (this.token.expired()) this.token = await this.token.refresh();
    return nameOf(this.given, this.token.accessToken);
  },
  words: (error) => error.body?.error_description,
});
