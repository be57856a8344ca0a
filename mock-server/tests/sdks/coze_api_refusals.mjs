// Refusals that @coze/api must show: what it throws, and the rule that the journal names.
import crypto from 'node:crypto';
import { createRequire } from 'node:module';
import { atOffset, caseList, expect } from './mock_case.mjs';
import { sdk } from '../../../conformance/released-sdks/coze_api_sdk.mjs';
import {
  ACCESS_SECONDS,
  PENDING,
  checkToken,
  deviceStart,
  jwt,
  pkceLogin,
  poll,
  prove,
  publicApp,
  web,
  webCode,
  webToken,
} from './coze_api_flows.mjs';
import {
  badClient,
  badGrant,
  deviceRefused,
  jwtRefused,
  loginRefused,
  refused,
  tokenRefused,
} from './coze_api_refused.mjs';

const ELSEWHERE = 'https://elsewhere.example/callback'; // no ready-made app allows it
const UNKNOWN = '99999999999999999999999999999999.app.coze';
const { privateKey: otherKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }); // no app has it
const OTHER_VERIFIER = 'b'.repeat(43);
/** Two assertions with one jti: the SDK makes it of 32 bytes from node's crypto. */
async function withPinnedJti(body) {
  const builtin = createRequire(import.meta.url)('crypto'); // the very object that the SDK's CommonJS build calls
  const real = builtin.randomFillSync;
  builtin.randomFillSync = (array) => array.fill(7);
  try {
    await body();
  } finally {
    builtin.randomFillSync = real;
  }
}

const [CASES, addCase] = caseList();
export { CASES };

// --- authorize ---

addCase('authorize.wrong-redirect', (mock) =>
  loginRefused(
    mock,
    sdk.getWebAuthenticationUrl(web(mock, { redirectUrl: ELSEWHERE })),
    400,
    'invalid_request',
    'authorize.redirect_uri',
  ),
);

addCase('authorize.unknown-client', (mock) =>
  loginRefused(
    mock,
    sdk.getWebAuthenticationUrl(web(mock, { clientId: UNKNOWN })),
    401,
    'invalid_client',
    'client.known',
  ),
);

addCase('authorize.deny', async (mock) => {
  const { error, state, code } = await mock.answerConsent(
    sdk.getWebAuthenticationUrl({ ...web(mock), state: 's' }),
    'deny',
  );
  expect('callback', ['access_denied', 's', undefined], [error, state, code]);
  await mock.saw('authorize', { status: 302 });
});

// --- exchange ---

addCase('code.wrong-secret', async (mock) => {
  const code = await webCode(mock);
  await badClient(
    mock,
    () => sdk.getWebOAuthToken(web(mock, { code, clientSecret: 'not-the-secret' })),
    'client.secret',
    'client_secret',
  );
  // A refused client must not burn the person's code.
  await checkToken(mock, await sdk.getWebOAuthToken(web(mock, { code })), 'authorization_code', 'web');
});

addCase('code.unknown-client', async (mock) => {
  const code = await webCode(mock);
  await badClient(
    mock,
    () => sdk.getWebOAuthToken(web(mock, { code, clientId: UNKNOWN })),
    'client.known',
    'client_id',
  );
});

addCase('code.reused', async (mock) => {
  const code = await webCode(mock);
  await checkToken(mock, await sdk.getWebOAuthToken(web(mock, { code })), 'authorization_code', 'web');
  await badGrant(mock, () => sdk.getWebOAuthToken(web(mock, { code })), 'code.single_use', 'code');
});

addCase('code.expired', async (mock) => {
  const code = await webCode(mock);
  await mock.advance(3600);
  await badGrant(mock, () => sdk.getWebOAuthToken(web(mock, { code })), 'code.expiry', 'code');
});

addCase('code.of-another-client', async (mock) => {
  // The web app's login has a challenge, so that nothing but the client is wrong.
  const { code, codeVerifier } = await pkceLogin(mock, { clientId: mock.apps.web.client_id });
  const thief = publicApp(mock, 'pkce', { code, codeVerifier });
  await badGrant(mock, () => sdk.getPKCEOAuthToken(thief), 'code.client', 'code');
});

addCase('code.wrong-redirect', async (mock) => {
  const code = await webCode(mock);
  const redirectUrl = 'http://localhost:8080/callback'; // allowed for the app, yet not where this login began
  await badGrant(
    mock,
    () => sdk.getWebOAuthToken(web(mock, { code, redirectUrl })),
    'code.redirect_uri',
    'redirect_uri',
  );
});

addCase('code.web-app-without-secret', async (mock) => {
  // A web app used as a PKCE one: the refusal of coze-js#212.
  const { code, codeVerifier } = await pkceLogin(mock, { clientId: mock.apps.web.client_id });
  await refused(
    mock,
    () => sdk.getPKCEOAuthToken(publicApp(mock, 'web', { code, codeVerifier })),
    400,
    'invalid_request',
    'client.secret_missing',
    { message: 'invalid request: client_secret' },
  );
});

addCase('pkce.wrong-verifier-s256', async (mock) => {
  const { code } = await pkceLogin(mock);
  await badGrant(
    mock,
    () => sdk.getPKCEOAuthToken(publicApp(mock, 'pkce', { code, codeVerifier: OTHER_VERIFIER })),
    'pkce.verifier',
    'code_verifier',
  );
});

addCase('pkce.plain-as-the-sdk-does-it', async (mock) => {
  // The SDK's own plain flow cannot succeed: hash sent, verifier exchanged (protocol §11 coze-js 1).
  const { code, codeVerifier } = await pkceLogin(mock, { code_challenge_method: 'plain' });
  await badGrant(
    mock,
    () => sdk.getPKCEOAuthToken(publicApp(mock, 'pkce', { code, codeVerifier })),
    'pkce.verifier',
    'code_verifier',
  );
});

// --- refresh ---

addCase('refresh.reused', async (mock) => {
  const refreshToken = (await webToken(mock)).refresh_token;
  await checkToken(mock, await sdk.refreshOAuthToken(web(mock, { refreshToken })), 'refresh_token', 'web');
  await badGrant(mock, () => sdk.refreshOAuthToken(web(mock, { refreshToken })), 'refresh.rotate', 'refresh_token');
});

addCase('refresh.expired', async (mock) => {
  const refreshToken = (await webToken(mock)).refresh_token;
  await mock.advance(30 * 86400);
  await badGrant(mock, () => sdk.refreshOAuthToken(web(mock, { refreshToken })), 'refresh.expiry', 'refresh_token');
});

addCase('refresh.of-another-client', async (mock) => {
  const refreshToken = (await webToken(mock)).refresh_token;
  await badGrant(
    mock,
    () => sdk.refreshOAuthToken(publicApp(mock, 'pkce', { refreshToken })),
    'refresh.client',
    'refresh_token',
  );
});

addCase('refresh.wrong-secret', async (mock) => {
  const refreshToken = (await webToken(mock)).refresh_token;
  await badClient(
    mock,
    () => sdk.refreshOAuthToken(web(mock, { refreshToken, clientSecret: 'not-the-secret' })),
    'client.secret',
    'client_secret',
  );
});

// --- device ---

addCase('device.single-poll-pending', async (mock) => {
  const device = await deviceStart(mock);
  await deviceRefused(
    mock,
    () => sdk.getDeviceToken(publicApp(mock, 'device', { deviceCode: device.device_code })),
    PENDING.error,
    PENDING.rule,
    0,
  );
});

addCase('device.denied', async (mock) => {
  const device = await deviceStart(mock);
  await deviceRefused(mock, () => poll(mock, device, 'deny'), 'access_denied', 'device.denied', 1);
});

addCase('device.expired-by-person', async (mock) => {
  const device = await deviceStart(mock);
  await deviceRefused(mock, () => poll(mock, device, 'expire'), 'expired_token', 'device.expired', 1);
});

addCase('device.expired-by-clock', async (mock) => {
  // The SDK has no deadline (protocol §11 coze-js 10): only the server's 300 s end this, after 60 polls.
  const device = await deviceStart(mock);
  await deviceRefused(mock, () => poll(mock, device), 'expired_token', 'device.expired', 60);
});

addCase('device.code-used-twice', async (mock) => {
  const device = await deviceStart(mock);
  await mock.user(device.user_code, 'approve');
  const once = () => sdk.getDeviceToken(publicApp(mock, 'device', { deviceCode: device.device_code }));
  await checkToken(mock, await once(), 'device_code', 'device');
  await badGrant(mock, once, 'device.single_use', 'device_code');
});

addCase('device.of-another-client', async (mock) => {
  const device = await deviceStart(mock);
  await mock.user(device.user_code, 'approve');
  const thief = publicApp(mock, 'other_device', { deviceCode: device.device_code });
  await badGrant(mock, () => sdk.getDeviceToken(thief), 'device.client', 'device_code');
});

addCase('device.wrong-kind', (mock) =>
  refused(mock, () => sdk.getDeviceCode(publicApp(mock, 'pkce')), 403, 'access_deny', 'client.kind', {
    endpoint: 'device_code',
    message: 'invalid app type',
  }),
);

// --- JWT; the first message is the server's own spelling (coze-go#43) ---

addCase('jwt.unknown-kid', (mock) =>
  jwtRefused(mock, { keyid: 'no-such-key' }, 'jwt.kid', 'invalid jwt: kid not been registred'),
);

addCase('jwt.wrong-key', (mock) =>
  jwtRefused(
    mock,
    { privateKey: otherKey.export({ type: 'pkcs8', format: 'pem' }) },
    'jwt.signature',
    'invalid jwt: signature',
  ),
);

addCase('jwt.wrong-aud', (mock) => jwtRefused(mock, { aud: 'api.elsewhere.example' }, 'jwt.aud', 'invalid jwt: aud'));

addCase('jwt.expired-assertion', (mock) => atOffset(-7200, () => jwtRefused(mock, {}, 'jwt.exp', 'invalid jwt: exp')));

addCase('jwt.reused-jti', (mock) =>
  withPinnedJti(async () => {
    await checkToken(mock, await sdk.getJWTToken(jwt(mock)), 'jwt_bearer', 'jwt', { refreshable: false });
    await jwtRefused(mock, {}, 'jwt.jti', 'invalid jwt: jti');
  }),
);

// --- the protected endpoint ---

addCase('token.unknown', (mock) => tokenRefused(mock, 'pat_no_such_token', 'token.known'));

addCase('token.expired', async (mock) => {
  const token = await webToken(mock);
  await prove(mock, token.access_token);
  await mock.advance(ACCESS_SECONDS + 60);
  await tokenRefused(mock, token.access_token, 'token.expiry');
});

addCase('token.revoked', async (mock) => {
  const token = await webToken(mock);
  await prove(mock, token.access_token);
  await mock.revoke(token.access_token);
  await tokenRefused(mock, token.access_token, 'token.revoked');
});
