// @coze/api, with and without the files of docs/official-sdks.md beside this one. See run.py.
import readline from 'node:readline';
import * as sdk from '@coze/api';
import { careful, Refused } from './careful.mjs';
import { logIn } from './device-login.mjs';
import { KeptToken } from './kept-token.mjs';
import { code, link, webLink } from './login-link.mjs';
import * as settings from './settings.mjs';

const { WEB, PKCE, DEVICE, KEY } = process.env;
const redirectUrl = 'https://app.example/callback';

// What an application can tell of an error.
const failed = (error) => ({
  error: error.constructor.name,
  code: error.code === undefined ? null : String(error.code),
  status: error.status ?? null,
  known: error instanceof Refused || error instanceof sdk.APIError,
  text: error.message,
});

const token = async (call) => {
  try {
    return { token: (await call())?.access_token ?? null };
  } catch (error) {
    return failed(error);
  }
};

class Drive {
  constructor(how, base) {
    this.page = how === 'page';
    this.base = base;
  }

  ask(call, config) {
    const whole = { baseURL: this.base, ...config };
    return this.page ? careful(call, whole) : call(whole);
  }

  jwt(privateKey) {
    const aud = new URL(this.base).host;
    return this.ask(sdk.getJWTToken, { appId: '100000000001', aud, keyid: 'mock-jwt-key-1', privateKey });
  }

  refresh(refreshToken) {
    return token(() => this.ask(sdk.refreshOAuthToken, { clientId: WEB, clientSecret: 'mock-web-secret', refreshToken }));
  }

  async device() {
    const app = { baseURL: this.base, clientId: DEVICE };
    const device = await this.ask(sdk.getDeviceCode, app);
    if (this.page) return token(() => logIn(app, device));
    return token(() => sdk.getDeviceToken({ ...app, deviceCode: device.device_code, poll: true }));
  }

  async auth() {
    this.kept = new KeptToken(() => this.jwt(KEY));
    return { tokens: await Promise.all(Array.from({ length: 8 }, () => this.kept.token())) };
  }

  async token() {
    return { token: await this.kept.token() };
  }

  async call() {
    const coze = new sdk.CozeAPI({ baseURL: this.base, token: () => this.kept.token() });
    return { ok: (await this.kept.call(() => coze.users.me())).user_name };
  }

  key(text) {
    return token(() => this.jwt(this.page ? settings.key(text) : text));
  }

  secret(text) {
    const clientSecret = this.page ? settings.secret(text) : text;
    return token(() => this.ask(sdk.refreshOAuthToken, { clientId: WEB, clientSecret, refreshToken: 'rt1' }));
  }

  async slash() {
    const given = `${this.base}/`;
    const baseURL = this.page ? settings.base(given) : given;
    return { token: (await sdk.getDeviceCode({ baseURL, clientId: DEVICE })).device_code };
  }

  www(base, page) {
    return { url: sdk.getWebAuthenticationUrl({ baseURL: this.page ? page : base, clientId: 'a', redirectUrl }) };
  }

  account(id) {
    const accountId = this.page ? encodeURIComponent(id) : id;
    const app = { appId: '100000000001', aud: 'api.coze.cn', keyid: 'mock-jwt-key-1', privateKey: KEY };
    return token(() => this.ask(sdk.getJWTToken, { ...app, accountId }));
  }

  async link(method) {
    const app = { baseURL: this.base, clientId: PKCE, redirectUrl };
    const made = this.page ? await link(app) : await sdk.getPKCEAuthenticationUrl({ ...app, code_challenge_method: method });
    this.state = made.state;
    this.exchange = (given) => this.ask(sdk.getPKCEOAuthToken, { clientId: PKCE, redirectUrl, codeVerifier: made.codeVerifier, code: given });
    return { url: made.url, verifier: made.codeVerifier };
  }

  web_link() {
    const app = { baseURL: this.base, clientId: WEB, redirectUrl };
    const made = this.page ? webLink(app) : { url: sdk.getWebAuthenticationUrl(app) };
    this.state = made.state;
    this.exchange = (given) => this.ask(sdk.getWebOAuthToken, { clientId: WEB, clientSecret: 'mock-web-secret', redirectUrl, code: given });
    return made;
  }

  no_state() {
    this.state = '';
    return {};
  }

  callback(query) {
    return token(async () => this.exchange(this.page ? code(new URLSearchParams(query), this.state) : query.code));
  }
}

const drives = new Map();
for await (const line of readline.createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  const key = `${asked.how} ${asked.base}`;
  if (!drives.has(key)) drives.set(key, new Drive(asked.how, asked.base));
  let said;
  try {
    said = await drives.get(key)[asked.do](...asked.with);
  } catch (error) {
    said = failed(error);
  }
  console.log(JSON.stringify(said));
}
