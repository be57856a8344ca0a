// Logins of people, devices and services, on good days and bad ones.
import { CozeAPI, getDeviceCode, getDeviceToken, getJWTToken, getWebAuthenticationUrl, getWebOAuthToken } from '@coze/api';
import { Expect, Fault, type MockWorld, On, RequestFilter, ScriptStep } from 'coze-auth-mock';
import { describe, expect } from 'vitest';
import { CALLBACK, test } from './coze.js';
import { Service } from './coze-session.js';

/** What the browser brings back to the app. */
async function backFrom(world: MockWorld, url: string, decision?: { approve: boolean }) {
  return Object.fromEntries((await world.authorize(url, decision)).searchParams);
}

/** The error of a call that has to fail. */
const refused = (call: Promise<unknown>) => call.then(() => expect.fail('it succeeded'), (error) => error);

describe('a person at a browser', () => {
  test('logs in', async ({ cozeWorld, web, nameOf }) => {
    const back = await backFrom(cozeWorld, getWebAuthenticationUrl({ ...web, state: 's1' }));
    expect(back.state).toBe('s1');
    const token = await getWebOAuthToken({ ...web, code: back.code });
    expect(await nameOf(token.access_token)).toBe('alice');
  });

  test('says no', async ({ cozeWorld, web }) => {
    const back = await backFrom(cozeWorld, getWebAuthenticationUrl({ ...web, state: 's1' }), { approve: false });
    expect(back).toMatchObject({ error: 'access_denied', state: 's1' });
    expect(back.code).toBeUndefined();
  });

  test('has a code that works once', async ({ cozeWorld, web }) => {
    const { code } = await backFrom(cozeWorld, getWebAuthenticationUrl(web));
    await getWebOAuthToken({ ...web, code });
    await refused(getWebOAuthToken({ ...web, code }));
    await cozeWorld.verify(Expect.exactly(1, RequestFilter.any().rule('code.single_use')));
  });

  test('has a code that expires', async ({ cozeWorld, web }) => {
    const { code } = await backFrom(cozeWorld, getWebAuthenticationUrl(web));
    await cozeWorld.clock.advance({ hours: 1 });
    const { logid } = await refused(getWebOAuthToken({ ...web, code }));
    expect(await cozeWorld.explain(logid)).toMatchObject({ rule: 'code.expiry' });
  });

  test('does not log in for a callback that is not registered', async ({ cozeWorld, web }) => {
    const url = getWebAuthenticationUrl({ ...web, redirectUrl: 'https://elsewhere.example/callback' });
    await expect(cozeWorld.authorize(url)).rejects.toMatchObject({ explanation: { rule: 'authorize.redirect_uri' } });
  });

  test('is told of a secret that was changed', async ({ cozeWorld, web }) => {
    const { code } = await backFrom(cozeWorld, getWebAuthenticationUrl(web));
    const { logid } = await refused(getWebOAuthToken({ ...web, clientSecret: 'an old secret', code }));
    expect(await cozeWorld.explain(logid)).toMatchObject({ rule: 'client.secret' });
  });
});

describe('a device without a browser', () => {
  test('waits for its person', async ({ cozeWorld, device, nameOf }) => {
    const { device_code, user_code } = await getDeviceCode(device);
    await cozeWorld.decideDevice(user_code, 'approve');
    const token = await getDeviceToken({ ...device, deviceCode: device_code, poll: true });
    expect(await nameOf(token.access_token)).toBe('alice');
  });

  test('asks again until the person has decided', async ({ cozeWorld, device }) => {
    const { device_code, user_code } = await getDeviceCode(device);
    await cozeWorld.decideDevice(user_code, 'approve');
    await cozeWorld.script(On.grant('device_code'), Array(3).fill(ScriptStep.error('authorization_pending')));
    await getDeviceToken({ ...device, deviceCode: device_code, poll: true });
    await cozeWorld.verify(Expect.exactly(4, On.grant('device_code')), Expect.gaps({ seconds: 5 }, On.grant('device_code')));
  });

  test('slows down when it is told to', async ({ cozeWorld, device }) => {
    const { device_code, user_code } = await getDeviceCode(device);
    await cozeWorld.decideDevice(user_code, 'approve');
    await cozeWorld.script(On.grant('device_code'), Array(2).fill(ScriptStep.error('slow_down')));
    const began = Date.now();
    await getDeviceToken({ ...device, deviceCode: device_code, poll: true });
    await cozeWorld.verify(Expect.exactly(3, On.grant('device_code')), Expect.gaps({ seconds: 10 }, On.grant('device_code')));
    expect(Date.now() - began).toBe(10_000 + 15_000); // five seconds more each time
  });

  test('is denied by its person', async ({ cozeWorld, device }) => {
    const { device_code, user_code } = await getDeviceCode(device);
    await cozeWorld.decideDevice(user_code, 'deny');
    const { rawError } = await refused(getDeviceToken({ ...device, deviceCode: device_code, poll: true }));
    expect(rawError.error_code).toBe('access_denied');
  });

  test('has a code that expires', async ({ cozeWorld, device }) => {
    const { device_code, expires_in } = await getDeviceCode(device);
    await cozeWorld.clock.advance({ seconds: expires_in + 1 });
    const { rawError } = await refused(getDeviceToken({ ...device, deviceCode: device_code, poll: true }));
    expect(rawError.error_code).toBe('expired_token');
  });
});

describe('a service', () => {
  test('gets a token for its session', async ({ cozeWorld, jwt, nameOf }) => {
    const token = await getJWTToken({ ...jwt, sessionName: 'user-42' });
    expect(await nameOf(token.access_token)).toBe('alice');
    const [entry] = await cozeWorld.requests(On.grant('jwt_bearer'));
    expect(entry.jwt?.payload.session_name).toBe('user-42');
  });

  test('asks once while its token lasts', async ({ cozeWorld, jwt }) => {
    const service = new Service(() => getJWTToken({ ...jwt, durationSeconds: 600 }));
    const coze = new CozeAPI({ baseURL: cozeWorld.baseURL, token: () => service.accessToken() });
    await coze.users.me();
    await coze.users.me();
    await cozeWorld.verify(Expect.exactly(1, On.token()));
    await cozeWorld.clock.advance({ seconds: 601 });
    await coze.users.me();
    await cozeWorld.verify(Expect.exactly(2, On.token()), Expect.exactly(3, RequestFilter.on(On.endpoint('users_me')).status(200)));
  });

  test('is refused with a key that was removed at the console', async ({ cozeWorld, jwt }) => {
    await cozeWorld.removeKey(jwt.appId, jwt.keyid);
    const { logid } = await refused(getJWTToken(jwt));
    expect(await cozeWorld.explain(logid)).toMatchObject({ rule: 'jwt.kid' });
  });

  test('has a token of the console until it is revoked', async ({ cozeWorld, nameOf }) => {
    const token = await cozeWorld.consoleToken('pat');
    expect(await nameOf(token)).toBe('alice');
    await cozeWorld.revoke(token);
    expect(await refused(nameOf(token))).toMatchObject({ code: 4100 });
  });

  test('is told of a busy API by its code', async ({ cozeWorld, nameOf }) => {
    await cozeWorld.fault(On.endpoint('users_me'), Fault.status(429).body('{"code":4020,"msg":"busy"}').times(1));
    expect(await refused(nameOf('pat_mock_alice'))).toMatchObject({ code: 4020 });
    expect(await nameOf('pat_mock_alice')).toBe('alice');
  });
});
