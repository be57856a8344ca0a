// arctic: its generic OAuth2Client; a program renews by accessTokenExpiresAt().
import { drive, nameOf } from './driver.mjs';
import * as arctic from 'arctic';

drive({
  begin(given) {
    if (given.how === 'by recipe') throw Object.assign(new Error('it takes neither a fetch nor a body of one\'s own'), { name: 'no hook' });
    this.given = given;
    this.client = new arctic.OAuth2Client(given.client_id, given.client_secret, given.redirect_uri);
    return this.client.createAuthorizationURL(given.authorize, arctic.generateState(), []);
  },
  keep(tokens) {
    this.tokens = tokens;
    this.ends = tokens.accessTokenExpiresAt(); // at once: a later call counts from then
    return tokens.accessToken();
  },
  async callback(url) {
    return this.keep(await this.client.validateAuthorizationCode(this.given.token, new URL(url).searchParams.get('code'), null));
  },
  async profile() {
    if (new Date() >= this.ends) this.keep(await this.client.refreshAccessToken(this.given.token, this.tokens.refreshToken(), []));
    return nameOf(this.given, this.tokens.accessToken());
  },
  words: (error) => error.description,
});
