// simple-oauth2: AuthorizationCode, whose tokens know whether they have ended; a program renews.
import { drive, nameOf } from './driver.mjs';
import oauth2 from 'simple-oauth2';
import { coze, mended } from './simple-oauth2-recipe.mjs';

const split = (url) => [new URL(url).origin, new URL(url).pathname];

drive({
  begin(given) {
    this.given = given;
    const [tokenHost, tokenPath] = split(given.token);
    const [authorizeHost, authorizePath] = split(given.authorize);
    const client = { id: given.client_id, secret: given.client_secret };
    const recipe = given.how === 'by recipe' ? coze(given.client_secret) : {};
    this.code = new oauth2.AuthorizationCode({ client, auth: { tokenHost, tokenPath, authorizeHost, authorizePath }, ...recipe });
    this.mended = given.how === 'by recipe' ? (token) => mended(this.code, token) : (token) => token;
    return this.code.authorizeURL({ redirect_uri: given.redirect_uri, state: 's' });
  },
  async callback(url) {
    const code = new URL(url).searchParams.get('code');
    this.token = this.mended(await this.code.getToken({ code, redirect_uri: this.given.redirect_uri }));
    return this.token.token.access_token;
  },
  async profile() {
    if (this.token.expired()) this.token = this.mended(await this.token.refresh());
    return nameOf(this.given, this.token.token.access_token);
  },
  words(error) {
    const answer = error.data?.payload ?? {};
    return this.given.how === 'by recipe' ? answer.error_message : answer.error_description;
  },
});
