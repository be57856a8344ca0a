// better-auth with its generic provider on SQLite. It logs in, keeps the account, and renews by itself in getAccessToken.
import { drive, nameOf } from './driver.mjs';
import { format } from 'node:util';
import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import { genericOAuth } from 'better-auth/plugins';
import Database from 'better-sqlite3';
import { coze } from './better-auth-recipe.mjs';

const ORIGIN = 'http://localhost:8080';

drive({
  async begin(given) {
    this.given = given;
    this.cookies = {};
    const database = (this.database = new Database(':memory:'));
    const provider = {
      providerId: 'coze',
      clientId: given.client_id,
      clientSecret: given.client_secret,
      authorizationUrl: given.authorize,
      tokenUrl: given.token,
      userInfoUrl: given.profile,
      accountSubject: ({ profile }) => profile.sub,
      mapProfileToUser: ({ sub }) => ({ email: `${sub}@coze.invalid` }), // it wants an address, and Coze gives none
    };
    const plugins = given.how === 'by recipe' ? coze(provider) : [genericOAuth({ config: [provider] })];
    const options = { baseURL: ORIGIN, secret: 'a secret of thirty-two letters at least', database, plugins, telemetry: { enabled: false } };
    await (await getMigrations(options)).runMigrations();
    this.auth = betterAuth(options);
    const reply = await this.visit('/api/auth/sign-in/social', {
      method: 'POST',
      body: JSON.stringify({ provider: 'coze', callbackURL: '/in', errorCallbackURL: '/out' }),
    });
    return (await reply.json()).url;
  },
  /** What a browser does: keeps the cookies. */
  async visit(path, options = {}) {
    const cookie = Object.entries(this.cookies).map((pair) => pair.join('=')).join('; ');
    const headers = { cookie, origin: ORIGIN, 'content-type': 'application/json' };
    const reply = await this.auth.handler(new Request(ORIGIN + path, { ...options, headers }));
    for (const text of reply.headers.getSetCookie()) {
      const [name, ...value] = text.split(';')[0].split('=');
      this.cookies[name] = value.join('=');
    }
    return reply;
  },
  account() {
    return this.database.prepare('select * from account').get();
  },
  async callback(url) {
    const logged = [];
    const { error } = console;
    console.error = (...said) => logged.push(format(...said));
    const reply = await this.visit(`/api/auth/callback/coze${new URL(url).search}`);
    console.error = error;
    const led = reply.headers.get('location');
    if (!led?.endsWith('/in')) throw new Error(`${led} ${logged.join('\n')}`);
    return this.account().accessToken;
  },
  async profile() {
    const { id: accountId, userId } = this.account();
    const { accessToken } = await this.auth.api.getAccessToken({ body: { accountId, userId } });
    return nameOf(this.given, accessToken);
  },
});
