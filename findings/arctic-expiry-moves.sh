#!/bin/sh
# npm arctic 3.7.0: tokens.accessTokenExpiresAt() is the time of the call plus expires_in, and not of the answer. So a program that keeps the
# tokens object and asks it later whether the token has ended, as tokens.accessTokenExpiresAt() < new Date(), is always told that it has not,
# and never refreshes. The moment has to be read once, when the answer arrives, and kept by the program.
# Needs node and npm; two seconds. Exit 0: behaves as described.
set -eu
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT; cd "$T"
npm init -y >/dev/null; npm i --silent --no-audit --no-fund --ignore-scripts arctic@3.7.0
cat > t.mjs <<'J'
import http from 'node:http'; import { OAuth2Client } from 'arctic';
const s = http.createServer((q, r) => { r.setHeader('content-type', 'application/json'); r.end(JSON.stringify({ access_token: 'a', refresh_token: 'r', token_type: 'Bearer', expires_in: 1 })); });
await new Promise(d => s.listen(0, '127.0.0.1', d));
const tokens = await new OAuth2Client('app', 's', 'http://localhost/cb').validateAuthorizationCode(`http://127.0.0.1:${s.address().port}/token`, 'code', null);
const first = tokens.accessTokenExpiresAt(); await new Promise(d => setTimeout(d, 2000)); const later = tokens.accessTokenExpiresAt(), ended = later < new Date();
console.log('arctic 3.7.0, expires_in 1'); console.log('accessTokenExpiresAt() at once:', first.toISOString(), '| two seconds later:', later.toISOString(), '| says that the token has ended:', ended);
process.exit(later - first >= 1900 && !ended ? 0 : 1);
J
node t.mjs
