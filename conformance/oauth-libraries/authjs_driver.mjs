// Auth.js with its Drizzle adapter on Postgres. It logs in and keeps the account; the renewal is the one that its guide gives a program to write.
import { drive, nameOf } from './driver.mjs';
import { format } from 'node:util';
import { Auth, customFetch, skipCSRFCheck } from '@auth/core';
import { DrizzleAdapter } from '@auth/drizzle-adapter';
import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { cozeFetch } from './coze-fetch.mjs';

const ORIGIN = 'http://localhost:8080';
const database = `d${process.pid}`;
const maker = new pg.Client(); // where it is, stands in the environment
await maker.connect();
await maker.query(`create database ${database}`);
await maker.end();
const pool = new pg.Pool({ database });
// The columns that the adapter's page gives.
await pool.query(`create table "user" (id text primary key, name text, email text unique, "emailVerified" timestamp, image text);
  create table account ("userId" text references "user", type text, provider text, "providerAccountId" text, refresh_token text, access_token text,
    expires_at integer, token_type text, scope text, id_token text, session_state text, primary key (provider, "providerAccountId"));
  create table session ("sessionToken" text primary key, "userId" text references "user", expires timestamp);`);
const account = async () => (await pool.query('select * from account')).rows[0];

drive({
  begin(given) {
    this.given = given;
    this.cookies = {};
    this.config = {
      adapter: DrizzleAdapter(drizzle(pool)),
      basePath: '/auth',
      providers: [
        {
          id: 'coze',
          name: 'Coze',
          type: 'oauth',
          clientId: given.client_id,
          clientSecret: given.client_secret,
          issuer: given.issuer,
          authorization: given.authorize,
          token: given.token,
          userinfo: given.profile,
          checks: ['pkce', 'state'],
          ...(given.how === 'by recipe'
            ? { [customFetch]: cozeFetch(given.client_id, given.client_secret), profile: ({ data }) => ({ id: data.user_id, name: data.user_name }) }
            : { profile: ({ sub, name }) => ({ id: sub, name }) }),
        },
      ],
      secret: 'a secret of thirty-two letters at least',
      skipCSRFCheck,
      trustHost: true,
    };
    return this.visit('/auth/signin/coze', { method: 'POST', body: new URLSearchParams() });
  },
  /** What a browser does: keeps the cookies; gives where it is led. */
  async visit(path, options = {}) {
    const cookie = Object.entries(this.cookies).map((pair) => pair.join('=')).join('; ');
    const reply = await Auth(new Request(ORIGIN + path, { ...options, headers: { cookie } }), this.config);
    for (const text of reply.headers.getSetCookie()) {
      const [name, ...value] = text.split(';')[0].split('=');
      this.cookies[name] = value.join('=');
    }
    return reply.headers.get('location');
  },
  async callback(url) {
    const logged = [];
    const { error } = console;
    console.error = (...said) => logged.push(format(...said));
    const led = await this.visit(`/auth/callback/coze${new URL(url).search}`);
    console.error = error;
    if (led !== ORIGIN) throw new Error(`${led} ${logged.join('\n')}`);
    return (await account()).access_token;
  },
  async profile() {
    let { access_token, refresh_token, expires_at } = await account();
    if (expires_at * 1000 < Date.now()) {
      const { client_id, client_secret, token } = this.given;
      const send = this.config.providers[0][customFetch] ?? fetch;
      const body = new URLSearchParams({ client_id, client_secret, grant_type: 'refresh_token', refresh_token });
      const reply = await send(token, { method: 'POST', body });
      const renewed = await reply.json();
      if (!reply.ok) throw new Error(renewed.error_description);
      ({ access_token, refresh_token } = renewed);
      expires_at = Math.floor(Date.now() / 1000 + renewed.expires_in);
      await pool.query('update account set access_token = $1, refresh_token = $2, expires_at = $3', [access_token, refresh_token, expires_at]);
    }
    return nameOf(this.given, access_token);
  },
});
