// oauth4webapi: a function for each step; a program keeps the time.
import { drive, named } from './driver.mjs';
import * as oauth from 'oauth4webapi';
import { cozeFetch } from './coze-fetch.mjs';

drive({
  async begin(given) {
    this.given = given;
    this.options = { [oauth.allowInsecureRequests]: true };
    if (given.how === 'by recipe') this.options[oauth.customFetch] = cozeFetch(given.client_id, given.client_secret);
    const endpoints = { authorization_endpoint: given.authorize, token_endpoint: given.token, userinfo_endpoint: given.profile };
    this.server = { issuer: given.issuer, ...endpoints };
    if (given.how === 'bridge') {
      const found = await oauth.discoveryRequest(new URL(given.issuer), { algorithm: 'oauth2', ...this.options });
      this.server = await oauth.processDiscoveryResponse(new URL(given.issuer), found);
    }
    this.client = { client_id: given.client_id };
    this.secret = oauth.ClientSecretBasic(given.client_secret);
    this.verifier = oauth.generateRandomCodeVerifier();
    this.state = oauth.generateRandomState();
    const url = new URL(this.server.authorization_endpoint);
    url.search = new URLSearchParams({
      client_id: given.client_id,
      redirect_uri: given.redirect_uri,
      response_type: 'code',
      state: this.state,
      code_challenge: await oauth.calculatePKCECodeChallenge(this.verifier),
      code_challenge_method: 'S256',
    });
    return url;
  },
  keep(tokens) {
    this.tokens = tokens;
    this.ends = Date.now() + tokens.expires_in * 1000;
    return tokens.access_token;
  },
  async callback(url) {
    const { server, client, secret, options } = this;
    const answer = oauth.validateAuthResponse(server, client, new URL(url), this.state);
    const reply = await oauth.authorizationCodeGrantRequest(server, client, secret, answer, this.given.redirect_uri, this.verifier, options);
    return this.keep(await oauth.processAuthorizationCodeResponse(server, client, reply));
  },
  async profile() {
    const { server, client, secret, options } = this;
    if (Date.now() >= this.ends) {
      const reply = await oauth.refreshTokenGrantRequest(server, client, secret, this.tokens.refresh_token, options);
      this.keep(await oauth.processRefreshTokenResponse(server, client, reply));
    }
    const reply = await oauth.userInfoRequest(server, client, this.tokens.access_token, options);
    if (this.given.how === 'by recipe') return named(this.given, await reply.json());
    return (await oauth.processUserInfoResponse(server, client, oauth.skipSubjectCheck, reply)).name;
  },
  words: (error) => error.error_description,
});
