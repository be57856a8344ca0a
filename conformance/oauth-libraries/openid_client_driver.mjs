// openid-client: a Configuration, found by discovery where there is one; a program renews by expiresIn().
import { drive, named } from './driver.mjs';
import * as client from 'openid-client';
import { cozeFetch } from './coze-fetch.mjs';

const insecure = { execute: [client.allowInsecureRequests] }; // the mock is on this machine

async function configuration(given) {
  if (given.how === 'bridge') {
    return client.discovery(new URL(given.issuer), given.client_id, given.client_secret, undefined, { algorithm: 'oauth2', ...insecure });
  }
  const endpoints = { authorization_endpoint: given.authorize, token_endpoint: given.token, userinfo_endpoint: given.profile };
  const config = new client.Configuration({ issuer: given.issuer, ...endpoints }, given.client_id, given.client_secret);
  client.allowInsecureRequests(config);
  if (given.how === 'by recipe') config[client.customFetch] = cozeFetch(given.client_id, given.client_secret);
  return config;
}

drive({
  async begin(given) {
    this.given = given;
    this.config = await configuration(given);
    this.state = client.randomState();
    return client.buildAuthorizationUrl(this.config, { redirect_uri: given.redirect_uri, state: this.state });
  },
  keep(tokens) {
    this.tokens = tokens;
    this.ends = Date.now() + tokens.expiresIn() * 1000;
    return tokens.access_token;
  },
  async callback(url) {
    return this.keep(await client.authorizationCodeGrant(this.config, new URL(url), { expectedState: this.state }));
  },
  async profile() {
    if (Date.now() >= this.ends) this.keep(await client.refreshTokenGrant(this.config, this.tokens.refresh_token));
    if (this.given.how !== 'by recipe') return (await client.fetchUserInfo(this.config, this.tokens.access_token, client.skipSubjectCheck)).name;
    const reply = await client.fetchProtectedResource(this.config, this.tokens.access_token, new URL(this.given.profile), 'GET');
    return named(this.given, await reply.json());
  },
  words: (error) => error.error_description,
});
