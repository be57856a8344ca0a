#!/bin/sh
# What an authorization server sees in User-Agent of OAuth libraries, as they are. Most of them do not say who they are:
# Authlib 1.9.10 says python-requests/2.34.2; simple-oauth2 5.1.0 sends none at all; Auth.js (@auth/core 0.41.3) says
# oauth4webapi/v3.8.8, which is another library; @badgateway/oauth2-client 3.3.1 says "node"; passport-oauth2 1.8.0 says Node-oauth.
# Only openid-client 6.9.0 names itself. So a server's log, or a rule by User-Agent, cannot tell such clients apart.
# Needs node, npm, python3 with venv; a minute. Exit 0: behaves as described.
set -eu
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT; cd "$T"
npm init -y >/dev/null
npm i --silent --no-audit --no-fund --ignore-scripts openid-client@6.9.0 simple-oauth2@5.1.0 @auth/core@0.41.3 oauth4webapi@3.8.8 @badgateway/oauth2-client@3.3.1 passport-oauth2@1.8.0
python3 -m venv v; v/bin/pip install -q --disable-pip-version-check Authlib==1.9.10 requests==2.34.2
cat > t.mjs <<'J'
import http from 'node:http'; import { execFile } from 'node:child_process'; import { createRequire } from 'node:module';
const seen = {};
const s = http.createServer((q, r) => { seen[q.url.slice(1)] = q.headers['user-agent'] ?? null; r.setHeader('content-type', 'application/json'); r.end(JSON.stringify({ access_token: 'a', token_type: 'Bearer', expires_in: 900 })); });
await new Promise(d => s.listen(0, '127.0.0.1', d));
const U = `http://127.0.0.1:${s.address().port}/`, cb = 'http://localhost/cb', quiet = f => f().catch(() => {});
await quiet(async () => { const o = await import('openid-client'); const c = new o.Configuration({ issuer: U, token_endpoint: U + 'openid-client' }, 'c', { client_secret: 's' }); o.allowInsecureRequests(c); await o.refreshTokenGrant(c, 'r'); });
await quiet(async () => { const { AuthorizationCode } = await import('simple-oauth2'); await new AuthorizationCode({ client: { id: 'c', secret: 's' }, auth: { tokenHost: U, tokenPath: '/simple-oauth2' } }).getToken({ code: 'x', redirect_uri: cb }); });
await quiet(async () => { const { OAuth2Client } = await import('@badgateway/oauth2-client'); await new OAuth2Client({ server: U, clientId: 'c', clientSecret: 's', tokenEndpoint: U + 'badgateway' }).authorizationCode.getToken({ code: 'x', redirectUri: cb }); });
await quiet(async () => { const S = createRequire(import.meta.url)('passport-oauth2'); const p = new S({ clientID: 'c', clientSecret: 's', authorizationURL: U, tokenURL: U + 'passport-oauth2', callbackURL: cb }, () => {}); await new Promise(d => p._oauth2.getOAuthAccessToken('x', { grant_type: 'authorization_code' }, d)); });
await quiet(async () => { const { Auth, skipCSRFCheck } = await import('@auth/core'); await Auth(new Request('http://localhost/auth/callback/p?code=x'), { secret: 'x'.repeat(32), trustHost: true, basePath: '/auth', skipCSRFCheck, logger: { error() {}, warn() {} }, providers: [{ id: 'p', name: 'p', type: 'oauth', checks: ['none'], clientId: 'c', clientSecret: 's', authorization: U, token: U + 'authjs', userinfo: U + 'userinfo' }] }); });
await new Promise(d => execFile('v/bin/python', ['-c', `from authlib.integrations.requests_client import OAuth2Session as S; S('c','s').fetch_token('${U}authlib', code='x', grant_type='authorization_code')`], { env: { ...process.env, NO_PROXY: '*' } }, d));
console.log(seen);
const right = { 'openid-client': 'openid-client/v6.9.0', 'simple-oauth2': null, badgateway: 'node', 'passport-oauth2': 'Node-oauth', authjs: 'oauth4webapi/v3.8.8', authlib: 'python-requests/2.34.2' };
process.exit(Object.entries(right).every(([name, agent]) => seen[name] === agent) ? 0 : 1);
J
node t.mjs
