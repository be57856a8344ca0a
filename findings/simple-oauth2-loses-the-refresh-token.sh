#!/bin/sh
# npm simple-oauth2 5.1.0: a refresh whose answer names no new refresh token, as RFC 6749 §6 allows and many servers do, should keep the old one.
# AccessToken.refresh() means to, but reads it from this.refresh_token, which is never set (it is this.token.refresh_token). So the first refresh
# works, and the second one sends "refresh_token=" with nothing behind it. A test that refreshes once passes.
# Needs node and npm. Exit 0: behaves as described.
set -eu
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT; cd "$T"
npm init -y >/dev/null; npm i --silent --no-audit --no-fund --ignore-scripts simple-oauth2@5.1.0
cat > t.mjs <<'J'
import http from 'node:http'; import oauth2 from 'simple-oauth2'; const sent = [];
const s = http.createServer((q, r) => { let b = ''; q.on('data', d => b += d).on('end', () => { sent.push(new URLSearchParams(b).get('refresh_token')); r.setHeader('content-type', 'application/json'); r.end(JSON.stringify({ access_token: 'a', token_type: 'Bearer', expires_in: 900 })); }); });
await new Promise(d => s.listen(0, '127.0.0.1', d));
const code = new oauth2.AuthorizationCode({ client: { id: 'app', secret: 's' }, auth: { tokenHost: 'http://127.0.0.1:' + s.address().port } });
const first = await code.createToken({ access_token: 'a0', refresh_token: 'r0', expires_in: 900 }).refresh(); await first.refresh();
console.log('simple-oauth2 5.1.0'); console.log('refresh tokens that the server was sent:', JSON.stringify(sent), '| kept after the first refresh:', first.token.refresh_token);
process.exit(sent[0] === 'r0' && sent[1] === '' && first.token.refresh_token === undefined ? 0 : 1);
J
node t.mjs
