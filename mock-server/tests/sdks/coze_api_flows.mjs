// Flows that @coze/api must complete: every token is proved with the SDK's own `users.me`.
// On success the SDK shows no log id; there the journal alone speaks.
import { CALLBACK, caseList, expect, onSdkTime } from './mock_case.mjs';
import { sdk } from '../../../conformance/released-sdks/coze_api_sdk.mjs';

export const ACCESS_SECONDS = 15 * 60; // protocol §3.4
export const PENDING = { status: 428, error: 'authorization_pending', rule: 'device.pending' };
const SLOW_DOWN = { status: 400, error: 'slow_down', rule: 'device.interval' };

// --- settings, as the SDK takes them ---

export const web = (mock, changed) => ({
  baseURL: mock.base,
  clientId: mock.apps.web.client_id,
  clientSecret: mock.apps.web.client_secret,
  redirectUrl: CALLBACK,
  ...changed,
});
export const publicApp = (mock, kind, changed) => ({
  baseURL: mock.base,
  clientId: mock.apps[kind].client_id,
  redirectUrl: CALLBACK,
  ...changed,
});
export const jwt = (mock, changed) => ({
  baseURL: mock.base,
  appId: mock.apps.jwt.client_id,
  keyid: mock.apps.jwt.key_id,
  privateKey: mock.apps.jwt.private_key,
  aud: mock.host,
  ...changed,
});
export const api = (mock, token) => new sdk.CozeAPI({ baseURL: mock.base, token });

// --- steps ---

/** The answer as the SDK handed it on, and the one journal entry it came from. */
export async function checkToken(mock, token, grant, app, { refreshable = true, seconds = ACCESS_SECONDS, path } = {}) {
  const entry = await mock.saw('token', { grant, client: mock.apps[app].client_id, path });
  expect('token_type', 'Bearer', token.token_type);
  expect('has a refresh token', refreshable, Boolean(token.refresh_token));
  // Absolute Unix seconds in every flow (protocol §3.1).
  expect('expires_in', (await mock.now()) + seconds, token.expires_in);
  return entry;
}

export async function prove(mock, accessToken) {
  const user = await api(mock, accessToken).users.me();
  expect('user name', 'alice', user.user_name);
  await mock.saw('users_me');
}

async function refreshAndProve(mock, settings, token, app) {
  await prove(mock, token.access_token);
  const next = await sdk.refreshOAuthToken({ ...settings, refreshToken: token.refresh_token });
  await checkToken(mock, next, 'refresh_token', app);
  expect('a new access token', true, next.access_token !== token.access_token);
  expect('a new refresh token', true, next.refresh_token !== token.refresh_token);
  await prove(mock, next.access_token);
}

export const webCode = (mock, changed) =>
  mock.approve(sdk.getWebAuthenticationUrl({ ...web(mock), state: 's', ...changed }), 's');

export async function webToken(mock) {
  const token = await sdk.getWebOAuthToken({ ...web(mock), code: await webCode(mock) });
  await checkToken(mock, token, 'authorization_code', 'web');
  return token;
}

export async function pkceLogin(mock, changed) {
  const { url, codeVerifier } = await sdk.getPKCEAuthenticationUrl({
    ...publicApp(mock, 'pkce'),
    state: 's',
    ...changed,
  });
  return { url, codeVerifier, code: await mock.approve(url, 's') };
}

export async function deviceStart(mock, changed) {
  const device = await sdk.getDeviceCode({ ...publicApp(mock, 'device'), ...changed });
  const path = `/api/permission/oauth2${changed ? '/workspace_id/ws_a' : ''}/device/code`;
  await mock.saw('device_code', { client: mock.apps.device.client_id, path });
  // A duration, unlike the token's (protocol §3.2).
  expect('interval and expires_in of the device code', [5, 300], [device.interval, device.expires_in]);
  return device;
}

/** Polls as the SDK does, on virtual time; the person acts while the SDK sleeps for the first time. */
export const poll = (mock, device, action) =>
  onSdkTime(
    mock,
    () => sdk.getDeviceToken({ ...publicApp(mock, 'device'), deviceCode: device.device_code, poll: true }),
    { duringSleep: (number) => action && number === 1 && mock.user(device.user_code, action) },
  );

/** One entry per poll: those refused, then the last. */
export async function checkPolls(mock, refused, last) {
  const entries = await mock.newEntries();
  expect('number of polls', refused.length + 1, entries.length);
  [...refused, last].forEach((wanted, i) => mock.check(entries[i], 'token', { grant: 'device_code', ...wanted }));
}

const scope = {
  account_permission: { permission_list: ['Connector.botChat'] },
  attribute_constraint: { connector_bot_chat_attribute: { bot_id_list: ['bot_1'] } },
};

const [CASES, addCase] = caseList();
export { CASES };

// --- web ---

addCase('web.login-and-refresh', async (mock) => {
  await refreshAndProve(mock, web(mock), await webToken(mock), 'web');
});

addCase('web.workspace', async (mock) => {
  const url = sdk.getWebAuthenticationUrl({ ...web(mock), state: 's', workspaceId: 'ws_a' });
  const { code } = await mock.answerConsent(url, 'approve');
  await mock.saw('authorize', { status: 302, path: '/api/permission/oauth2/workspace_id/ws_a/authorize' });
  const token = await sdk.getWebOAuthToken({ ...web(mock), code });
  await checkToken(mock, token, 'authorization_code', 'web');
  await refreshAndProve(mock, web(mock), token, 'web');
});

addCase('web.refreshed-after-expiry', async (mock) => {
  const token = await webToken(mock);
  await mock.advance(ACCESS_SECONDS + 60);
  const next = await sdk.refreshOAuthToken({ ...web(mock), refreshToken: token.refresh_token });
  await checkToken(mock, next, 'refresh_token', 'web');
  await prove(mock, next.access_token);
});

// --- PKCE; the SDK sends an empty `Bearer ` here and for device (protocol §11 coze-js 5) ---

addCase('pkce.s256', async (mock) => {
  const { code, codeVerifier } = await pkceLogin(mock);
  const token = await sdk.getPKCEOAuthToken({ ...publicApp(mock, 'pkce'), code, codeVerifier });
  await checkToken(mock, token, 'authorization_code', 'pkce');
  await refreshAndProve(mock, publicApp(mock, 'pkce'), token, 'pkce');
});

addCase('pkce.workspace', async (mock) => {
  const { code, codeVerifier } = await pkceLogin(mock, { workspaceId: 'ws_a' });
  const token = await sdk.getPKCEOAuthToken({ ...publicApp(mock, 'pkce'), code, codeVerifier });
  await checkToken(mock, token, 'authorization_code', 'pkce');
  await prove(mock, token.access_token);
});

addCase('pkce.plain', async (mock) => {
  // Under `plain` the SDK still sends the S256 hash as the challenge (protocol §11 coze-js 1), so what
  // it calls the challenge is the verifier that a plain comparison wants.
  const { url, code } = await pkceLogin(mock, { code_challenge_method: 'plain' });
  const codeVerifier = new URL(url).searchParams.get('code_challenge');
  const token = await sdk.getPKCEOAuthToken({ ...publicApp(mock, 'pkce'), code, codeVerifier });
  await checkToken(mock, token, 'authorization_code', 'pkce');
  await prove(mock, token.access_token);
});

// --- device ---

addCase('device.pending-then-approve', async (mock) => {
  const { token, sleeps } = await poll(mock, await deviceStart(mock), 'approve');
  await checkPolls(mock, [PENDING], {});
  expect('sleeps of the SDK', [5], sleeps);
  await refreshAndProve(mock, publicApp(mock, 'device'), token, 'device');
});

addCase('device.workspace', async (mock) => {
  const { token } = await poll(mock, await deviceStart(mock, { workspaceId: 'ws_a' }), 'approve');
  await checkPolls(mock, [PENDING], {});
  await prove(mock, token.access_token);
});

addCase('device.slow-down-then-approve', async (mock) => {
  const device = await deviceStart(mock);
  // The SDK ignores the server's interval (protocol §7), so its first sleep is cut short from outside.
  const { token, sleeps } = await onSdkTime(
    mock,
    () => sdk.getDeviceToken({ ...publicApp(mock, 'device'), deviceCode: device.device_code, poll: true }),
    {
      mockAdvances: (ms) => (ms === 5000 ? 1000 : ms),
      duringSleep: (number) => number === 2 && mock.user(device.user_code, 'approve'),
    },
  );
  await checkPolls(mock, [PENDING, SLOW_DOWN], {});
  expect('sleeps of the SDK: 5 s, then 5 s more', [5, 10], sleeps);
  await prove(mock, token.access_token);
});

// --- JWT ---

addCase('jwt.plain', async (mock) => {
  const token = await sdk.getJWTToken(jwt(mock));
  await checkToken(mock, token, 'jwt_bearer', 'jwt', { refreshable: false });
  await prove(mock, token.access_token);
});

addCase('jwt.aud-without-port', async (mock) => {
  // as coze-java sends it (protocol §1.3)
  const token = await sdk.getJWTToken(jwt(mock, { aud: new URL(mock.base).hostname }));
  const entry = await checkToken(mock, token, 'jwt_bearer', 'jwt', { refreshable: false });
  expect('aud in the assertion', new URL(mock.base).hostname, entry.jwt.payload.aud);
  await prove(mock, token.access_token);
});

addCase('jwt.scope-session-ttl', async (mock) => {
  const token = await sdk.getJWTToken(jwt(mock, { scope, sessionName: 'user-1', durationSeconds: 7200 }));
  const entry = await checkToken(mock, token, 'jwt_bearer', 'jwt', { refreshable: false, seconds: 7200 });
  expect('scope in the body', scope, entry.json.scope);
  expect('session_name in the assertion', 'user-1', entry.jwt.payload.session_name);
  await prove(mock, token.access_token);
});

addCase('jwt.account', async (mock) => {
  const token = await sdk.getJWTToken(jwt(mock, { accountId: '123' }));
  const path = '/api/permission/oauth2/account/123/token';
  await checkToken(mock, token, 'jwt_bearer', 'jwt', { refreshable: false, path });
  await prove(mock, token.access_token);
});

// --- static tokens ---

addCase('token.pat', (mock) => prove(mock, mock.tokens.pat));

addCase('token.sat', async (mock) => {
  const user = await api(mock, mock.tokens.sat).users.me();
  expect('has a user id', true, Boolean(user.user_id));
  await mock.saw('users_me');
});
