// passport-oauth2: a strategy, which hands on what the token endpoint answers; a program keeps the time, and renews with the strategy's client.
import { drive, nameOf } from './driver.mjs';
import { Strategy } from 'passport-oauth2';
import { speakCoze } from './passport-recipe.mjs';

drive({
  begin(given) {
    this.given = given;
    const endpoints = { authorizationURL: given.authorize, tokenURL: given.token, callbackURL: given.redirect_uri };
    const client = { clientID: given.client_id, clientSecret: given.client_secret, state: true };
    this.strategy = new Strategy({ ...endpoints, ...client }, (access, refresh, params, profile, done) => done(null, { access, refresh, params }));
    this.strategy.userProfile = (token, done) => nameOf(given, token).then((displayName) => done(null, { displayName }), done);
    if (given.how === 'by recipe') speakCoze(this.strategy);
    this.session = {};
    return this.authenticate({}).then(({ redirect }) => redirect);
  },
  authenticate(query) {
    return new Promise((resolve, reject) => {
      const actions = { redirect: (url) => resolve({ redirect: url }), success: resolve, error: reject, fail: (why) => reject(new Error(why?.message)) };
      Object.assign(Object.create(this.strategy), actions).authenticate({ query, session: this.session, headers: {} });
    });
  },
  keep({ access, refresh, params }) {
    this.tokens = { access, refresh, ends: Date.now() + params.expires_in * 1000 };
    return access;
  },
  async callback(url) {
    return this.keep(await this.authenticate(Object.fromEntries(new URL(url).searchParams)));
  },
  async profile() {
    if (Date.now() >= this.tokens.ends) {
      const renewed = await new Promise((resolve, reject) => {
        this.strategy._oauth2.getOAuthAccessToken(this.tokens.refresh, { grant_type: 'refresh_token' }, (error, access, refresh, params) =>
          error ? reject(error) : resolve({ access, refresh, params }),
        );
      });
      this.keep(renewed);
    }
    return nameOf(this.given, this.tokens.access);
  },
});
