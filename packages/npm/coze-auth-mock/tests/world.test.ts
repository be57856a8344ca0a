// What a test can do with a world, held against requests over a socket.
import assert from 'node:assert';
import { createPublicKey } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import {
  Api,
  type AppKind,
  type At,
  AuthorizeError,
  ControlError,
  type DeviceAction,
  Expect,
  Fault,
  type FaultKind,
  type MemberChange,
  MockError,
  On,
  RequestFilter,
  type ScriptEnd,
  ScriptStep,
  VerifyError,
} from 'coze-auth-mock';
import { test } from 'coze-auth-mock/vitest';
import { expect } from 'vitest';
import { authorizeUrl, CALLBACK, logIn, me, refresh, send } from './client.js';

const NEW_YEAR = new Date('2026-01-01T00:00:00Z');
const ME = On.endpoint('users_me');

const thrown = (call: Promise<unknown>) => call.then(() => expect.fail('it succeeded'), (error) => error);

test('apps and tokens have types', async ({ cozeWorld }) => {
  const [web, jwt, workload] = [await cozeWorld.app('web'), await cozeWorld.app('jwt'), await cozeWorld.app('workload')];
  expect(web).toMatchObject({ clientSecret: 'mock-web-secret', privateKey: '', integrations: {} });
  expect(web.redirectUris[0]).toBe('http://localhost:*/*');
  expect(jwt.keyId).toBe('mock-jwt-key-1');
  expect(jwt.privateKey).toMatch(/^-----BEGIN PRIVATE KEY-----/);
  expect(workload.projectEnv).toHaveProperty('PGDATABASE_URL');
  expect(Object.keys(workload.integrations)).toHaveLength(2);
  expect([await cozeWorld.consoleToken('pat'), await cozeWorld.consoleToken('sat')]).toEqual(['pat_mock_alice', 'sat_mock_ci']);
  expect((await cozeWorld.apps()).map((app) => app.kind).slice(0, 2)).toEqual(['web', 'pkce']);
});

test('variables are those of Coze samples, with the base of the world', async ({ cozeWorld }) => {
  const variables = await cozeWorld.variables();
  expect(variables).toMatchObject({ COZE_API_BASE: cozeWorld.baseURL, COZE_WEB_OAUTH_CLIENT_SECRET: 'mock-web-secret' });
});

test('the clock is set, advanced and frozen', async ({ cozeWorld: { clock } }) => {
  expect(await clock.isFrozen()).toBe(false);
  await clock.freeze();
  expect(await clock.isFrozen()).toBe(true);
  await clock.set(NEW_YEAR);
  expect(await clock.now()).toEqual(NEW_YEAR);
  await clock.advance(1500);
  await clock.advance({ minutes: 1, seconds: 2 });
  expect(await clock.unixMs()).toBe(NEW_YEAR.getTime() + 63_500);
  await clock.set(1e12);
  expect((await clock.now()).getUTCFullYear()).toBe(2001);
  await expect(clock.advance(-1)).rejects.toThrow(new RangeError('a time is not negative'));
  await expect(clock.advance(NaN)).rejects.toThrow(RangeError);
  // @ts-expect-error a unit that is not known
  await expect(clock.advance({ minute: 1 })).rejects.toThrow('and not minute');
  await clock.runReal();
  expect(await clock.isFrozen()).toBe(false);
  expect(Math.abs((await clock.unixMs()) - Date.now())).toBeLessThan(60_000);
});

test('an installed clock is that of this process', async ({ cozeWorld, cozeAuthMock }) => {
  const real = { Date, setTimeout };
  const { clock } = cozeWorld;
  await clock.install();
  await clock.set(NEW_YEAR);
  expect(Date.now()).toBe(NEW_YEAR.getTime());
  expect([new Date(), new Date(0)]).toEqual([NEW_YEAR, new Date('1970-01-01T00:00:00Z')]);
  expect(new Date()).toBeInstanceOf(real.Date);
  expect(Date().startsWith('Wed Dec 31 2025') || Date().startsWith('Thu Jan 01 2026')).toBe(true);
  await clock.advance({ hours: 1 });
  expect(Date.now()).toBe(NEW_YEAR.getTime() + 3_600_000);
  const began = performance.now();
  const said = await new Promise((wake) => setTimeout(wake, 50_000, 'done'));
  await promisify(setTimeout)(50_000);
  expect([said, await sleep(50_000, 'slept')]).toEqual(['done', 'slept']);
  expect(await clock.unixMs()).toBe(NEW_YEAR.getTime() + 3_750_000);
  expect(performance.now() - began).toBeLessThan(20_000);
  let struck = false;
  const pause = setTimeout(() => (struck = true), 10_000);
  await sleep(0);
  clearTimeout(pause);
  await clock.now();
  await sleep(50);
  expect(struck, 'a cleared timer').toBe(false);
  await expect(cozeAuthMock.clock.install()).rejects.toThrow('the clock of another world is installed');
  await expect(clock.runReal()).rejects.toThrow(MockError);
  await clock.install(); // once more, without harm
  clock.uninstall();
  expect([Date === real.Date, setTimeout === real.setTimeout]).toEqual([true, true]);
  expect(await clock.isFrozen()).toBe(true);
  clock.uninstall();
});

test('a clock that a test leaves installed is uninstalled', async ({ cozeWorld }) => {
  expect(Math.abs((await cozeWorld.clock.unixMs()) - Date.now())).toBeLessThan(60_000);
  await cozeWorld.clock.install();
  await cozeWorld.clock.advance({ days: 400 });
});

test('the next test has the machine time', async ({ cozeWorld }) => {
  expect(Math.abs((await cozeWorld.clock.unixMs()) - Date.now())).toBeLessThan(60_000);
});

test('a token ends on the clock of its world', async ({ cozeWorld, cozeAuthMock }) => {
  const { access_token } = await logIn(cozeWorld);
  expect(await me(cozeWorld, access_token)).toBe(200);
  await cozeWorld.clock.advance({ minutes: 16 });
  expect(await me(cozeWorld, access_token)).toBe(401);
  expect(Math.abs((await cozeAuthMock.clock.unixMs()) - Date.now())).toBeLessThan(60_000);
});

test('requests are entries of the journal', async ({ cozeWorld }) => {
  const { refresh_token } = await logIn(cozeWorld);
  await refresh(cozeWorld, refresh_token);
  await refresh(cozeWorld, refresh_token);
  const every = await cozeWorld.requests();
  expect(every.map(({ endpoint, grant, outcome }) => [endpoint, grant, outcome.status])).toEqual([
    ['authorize', null, 302],
    ['token', 'authorization_code', 200],
    ['token', 'refresh_token', 200],
    ['token', 'refresh_token', 400],
  ]);
  const refused = every[3];
  expect(refused.outcome).toMatchObject({ error: 'invalid_grant', rule: 'refresh.rotate', relaxed: [] });
  expect([refused.client, refused.presented]).toEqual([(await cozeWorld.app('web')).clientId, every[1].issued?.refresh]);
  expect(every[1].issued?.access).toBeTruthy();
  expect([refused.issued, every[0].outcome.error, every[0].fault, every[0].change]).toEqual([null, null, null, null]);
  expect(refused.atMs).toBeGreaterThan(NEW_YEAR.getTime());
  expect(refused.elapsedUs).toBeGreaterThan(0);
  expect(await cozeWorld.requests(On.grant('refresh_token'), { limit: 1 })).toEqual([refused]);
  expect(await cozeWorld.requests(RequestFilter.any().status(302))).toEqual(every.slice(0, 1));
  const { logid } = refused.outcome;
  expect(`${refused}`).toBe(`4 POST token refresh_token 400 invalid_grant rule=refresh.rotate logid=${logid}`);
  const why = await cozeWorld.explain(logid);
  expect(why).toMatchObject({ rule: 'refresh.rotate', world: cozeWorld.name, logid });
  expect(`${why}`).toBe(`${why?.text} Expected ${why?.expected}; actual ${why?.actual}. ${why?.fix}`);
  expect(await cozeWorld.explain('20260101000000MOCK00000000000009')).toBeNull();
});

test('a JWT is shown decoded', async ({ cozeWorld }) => {
  const body = { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer' };
  const assertion = 'eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiIxIn0.c2ln';
  expect((await send(cozeWorld.baseURL, '/api/permission/oauth2/token', { body, bearer: assertion })).status).toBeGreaterThan(399);
  expect((await cozeWorld.requests())[0].jwt).toMatchObject({ header: { alg: 'RS256', kid: 'k' }, payload: { iss: '1' } });
});

test('a request is taken once, and awaited', async ({ cozeWorld }) => {
  expect(await cozeWorld.takeRequest(undefined, { timeout: 0 })).toBeNull();
  const calls = [me(cozeWorld), me(cozeWorld)];
  const taken = [await cozeWorld.takeRequest(ME), await cozeWorld.takeRequest(ME)];
  expect(taken.map((one) => one?.seq).sort()).toEqual([1, 2]);
  expect(await cozeWorld.takeRequest(undefined, { timeout: { milliseconds: 1 } })).toBeNull();
  await Promise.all(calls);
});

test('expectations are compared with the journal', async ({ cozeWorld }) => {
  const { refresh_token } = await logIn(cozeWorld);
  await refresh(cozeWorld, refresh_token);
  await cozeWorld.clock.advance({ minutes: 1 });
  await refresh(cozeWorld, refresh_token);
  const refreshes = On.grant('refresh_token');
  const spent = RequestFilter.on(refreshes).rule('refresh.rotate').error('invalid_grant').status(400);
  await cozeWorld.verify(
    Expect.exactly(1, spent.clientId((await cozeWorld.app('web')).clientId).path('/api/permission/oauth2/token')),
    Expect.atLeast(2, refreshes),
    Expect.atMost(2, refreshes),
    Expect.order([On.endpoint('authorize'), spent]),
    Expect.gaps({ minutes: 1 }, refreshes),
  );
  const unmet = await thrown(cozeWorld.verify(Expect.exactly(1, refreshes), Expect.atLeast(1, ME), Expect.gaps(61_000, refreshes)));
  expect(unmet).toBeInstanceOf(VerifyError);
  expect(unmet).toBeInstanceOf(assert.AssertionError);
  expect(unmet.failures.map(({ index }: { index: number }) => index)).toEqual([0, 1, 2]);
  expect(unmet.message).toMatch(/^expectation 0: expected exactly 1 of endpoint token, grant refresh_token; 2 matched/);
  for (const fault of ['reset', 'status'] satisfies FaultKind[]) {
    await expect(cozeWorld.verify(Expect.exactly(1, RequestFilter.any().fault(fault)))).rejects.toThrow(VerifyError);
  }
});

test('authorize is decided as a person does', async ({ cozeWorld }) => {
  const approved = await cozeWorld.authorize(await authorizeUrl(cozeWorld));
  expect(`${approved}`).toMatch(new RegExp(`^${CALLBACK}\\?code=code_mock_.*state=s$`));
  const denied = await cozeWorld.authorize(new URL(await authorizeUrl(cozeWorld)), { approve: false });
  expect(denied.searchParams.get('error')).toBe('access_denied');
  const refused = await thrown(cozeWorld.authorize(await authorizeUrl(cozeWorld, { redirect_uri: 'https://evil.example/' })));
  expect(refused).toBeInstanceOf(AuthorizeError);
  expect(refused.explanation.rule).toBe('authorize.redirect_uri');
  expect(refused.message).toBe(`${refused.error}: ${refused.explanation}`);
  await expect(cozeWorld.authorize(await authorizeUrl(cozeWorld), { user: 'nobody' })).rejects.toThrow('expected one of alice');
});

test('a device is decided as a person does', async ({ cozeWorld }) => {
  const body = { client_id: (await cozeWorld.app('device')).clientId };
  const device = (await send(cozeWorld.baseURL, '/api/permission/oauth2/device/code', { body })).json;
  const [pending] = await cozeWorld.devices();
  expect(pending).toMatchObject({ userCode: device.user_code, clientId: body.client_id, workspaceId: null, polled: false });
  expect(pending.expiresInMs).toBeGreaterThan(0);
  const poll = { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: device.device_code, ...body };
  const polled = () => send(cozeWorld.baseURL, '/api/permission/oauth2/token', { body: poll });
  expect((await polled()).json.error_code).toBe('authorization_pending');
  await cozeWorld.decideDevice(pending.userCode);
  expect(await cozeWorld.devices()).toEqual([]);
  await cozeWorld.clock.advance({ seconds: 6 });
  expect((await polled()).status).toBe(200);
  expect(await thrown(cozeWorld.decideDevice('NO-SUCH', 'deny'))).toMatchObject({ name: 'ControlError', status: 404 });
});

test('tokens are revoked and restricted', async ({ cozeWorld }) => {
  expect([await cozeWorld.restrict('pat_mock_alice'), await me(cozeWorld)]).toEqual([true, 403]);
  expect([await cozeWorld.revoke('pat_mock_alice'), await me(cozeWorld)]).toEqual([true, 401]);
  expect([await cozeWorld.revoke('of-nobody'), await cozeWorld.restrict('of-nobody')]).toEqual([false, false]);
});

test('an app is switched off, and its keys are changed', async ({ cozeWorld }) => {
  const { clientId } = await cozeWorld.app('device');
  const ask = async () => (await send(cozeWorld.baseURL, '/api/permission/oauth2/device/code', { body: { client_id: clientId } })).status;
  await cozeWorld.setEnabled(clientId, false);
  expect(await ask()).toBeGreaterThan(399);
  await cozeWorld.setEnabled(clientId, true);
  expect(await ask()).toBe(200);
  const jwt = await cozeWorld.app('jwt');
  const keys = async () => (await cozeWorld.control('GET', `/apps/${jwt.clientId}/keys`)).keys.map(({ kid }: { kid: string }) => kid);
  expect(await thrown(cozeWorld.addKey(jwt.clientId, 'k2', 'not a key'))).toMatchObject({ status: 400 });
  await cozeWorld.removeKey(jwt.clientId, 'mock-jwt-key-1');
  expect(await keys()).toEqual([]);
  const publicKey = createPublicKey(jwt.privateKey).export({ type: 'spki', format: 'pem' });
  await cozeWorld.addKey(jwt.clientId, 'k2', String(publicKey));
  expect(await keys()).toEqual(['k2']);
});

test('faults act until they are removed', async ({ cozeWorld }) => {
  const fault = await cozeWorld.fault(ME, Fault.status(503).body('busy').header('retry-after', '3').times(1));
  const busy = await send(cozeWorld.baseURL, '/v1/users/me', { bearer: 'pat_mock_alice' });
  expect([busy.status, busy.json, busy.headers['retry-after']]).toEqual([503, 'busy', '3']);
  expect(await me(cozeWorld)).toBe(200);
  expect([await fault.matched(), await fault.fired()]).toEqual([2, 1]);
  await fault.remove();
  expect((await cozeWorld.control('GET', '/faults')).faults).toEqual([]);
  expect(await fault.fired()).toBe(0);
  await fault.remove(); // once more, without harm
  {
    await using _kept = await cozeWorld.fault(ME.path('/v1/users/me'), Fault.empty200().skip(1));
    expect([await me(cozeWorld, 'of-nobody'), await me(cozeWorld, 'of-nobody')]).toEqual([401, 200]);
  }
  expect(await me(cozeWorld, 'of-nobody')).toBe(401);
  expect((await cozeWorld.requests()).map((one) => one.fault)).toEqual(['status', null, null, 'empty_200', null]);
});

const EVERY_FAULT = [
  Fault.status(502).body('<html>').header('a', 'b'),
  Fault.delay({ milliseconds: 1 }),
  Fault.hold(),
  Fault.reset().at('answer').times(1).skip(0).probability(0.5),
  Fault.closeBeforeBody(),
  Fault.truncate(),
  Fault.truncateAt(3),
  Fault.garbage(),
  Fault.slowDrip(1),
  Fault.redirect(307, 'https://elsewhere.example/'),
  Fault.wrongContentType(),
  Fault.empty200(),
  Fault.dupHeader(),
  Fault.member('expires_in', 'milliseconds'),
  Fault.memberValue('expires_in', 30),
  Fault.memberValue('error', null),
  Fault.consentPolicy(),
  Fault.callback307(),
  Fault.callbackTwice(),
];

test('the mock takes every fault, and knows no other', async ({ cozeWorld }) => {
  const kinds = EVERY_FAULT.map((fault) => fault.toJSON().fault.kind);
  for (const fault of EVERY_FAULT) {
    const { kind } = fault.toJSON().fault;
    const on = kind.startsWith('callback') || kind.startsWith('consent') ? On.endpoint('authorize') : On.token();
    await using _placed = await cozeWorld.fault(on, fault);
    const { faults } = await cozeWorld.control('GET', '/faults');
    expect(faults.map((one: { kind: string }) => one.kind)).toEqual([kind]);
  }
  const { components } = await cozeWorld.control('GET', '/openapi.json');
  expect([...new Set(kinds)].sort()).toEqual([...components.schemas.FaultKind.enum].sort());
});

test('the names of the types are those of the mock', async ({ cozeWorld }) => {
  const { components } = await cozeWorld.control('GET', '/openapi.json');
  const { FaultKind: faults, App: app, DecideDevice: decide, Script: script, At: at } = components.schemas;
  // A name that is not of the type does not compile, and one that is missing here is one that it lacks.
  const every = <T extends string>(names: Record<T, true>) => Object.keys(names).sort();
  expect(
    every<FaultKind>({
      status: true, delay: true, hold: true, reset: true, close_before_body: true, truncate: true, garbage: true, slow_drip: true, redirect: true,
      wrong_content_type: true, empty_200: true, dup_header: true, member: true, consent_policy: true, callback_307: true, callback_twice: true,
    }),
  ).toEqual([...faults.enum].sort());
  expect(every<AppKind>({ web: true, pkce: true, device: true, jwt: true, workload: true })).toEqual([...app.properties.kind.enum].sort());
  expect(every<DeviceAction>({ approve: true, deny: true, expire: true })).toEqual([...decide.properties.action.enum].sort());
  expect(every<ScriptEnd>({ pass: true, repeat: true, last: true })).toEqual(
    script.properties.after.enum.filter((one: string | null) => one !== null).sort(),
  );
  expect(every<At>({ request: true, answer: true })).toEqual([...at.enum].sort());
  const changes = ['absent', 'null', 'string', 'float', 'milliseconds', 'too_large', 'other_type'] satisfies MemberChange[];
  expect(JSON.stringify(components.schemas)).toContain(JSON.stringify(changes));
});

test('a member of a good answer is changed', async ({ cozeWorld }) => {
  await cozeWorld.fault(On.token(), Fault.memberValue('expires_in', 30).times(1));
  expect((await logIn(cozeWorld)).expires_in).toBe(30);
  await cozeWorld.fault(On.token(), Fault.member('refresh_token', 'absent'));
  expect(await logIn(cozeWorld)).not.toHaveProperty('refresh_token');
  expect((await cozeWorld.requests()).at(-1)?.change).toBe('refresh_token: absent');
});

test('a script answers in order', async ({ cozeWorld }) => {
  const steps = [ScriptStep.error('4100'), ScriptStep.error('busy', 503), ScriptStep.fault(Fault.status(502)), ScriptStep.pass()];
  const script = await cozeWorld.script(ME, steps);
  const answers = [];
  for (let number = 0; number < 5; number += 1) answers.push(await me(cozeWorld));
  expect(answers).toEqual([401, 503, 502, 200, 200]);
  expect((await cozeWorld.requests())[0].script).toBe(script.id);
  await script.stop();
  await script.stop(); // once more, without harm
  await cozeWorld.script(ME, steps.slice(0, 1), 'repeat');
  expect([await me(cozeWorld), await me(cozeWorld)]).toEqual([401, 401]);
});

test('a step keeps when its fault acts', async ({ cozeWorld }) => {
  const { refresh_token } = await logIn(cozeWorld);
  await cozeWorld.script(On.grant('refresh_token'), [ScriptStep.fault(Fault.status(500).at('answer'))]);
  expect((await refresh(cozeWorld, refresh_token)).status).toBe(500);
  expect((await refresh(cozeWorld, refresh_token)).json.error_code, 'it was not spent').toBe('invalid_grant');
});

test('a gate holds requests', async ({ cozeWorld }) => {
  const gate = await cozeWorld.gate('me', ME);
  expect(await gate.arrived(1, { timeout: 0 })).toBe(false);
  const seen: number[] = [];
  const calls = [1, 2, 3].map(() => me(cozeWorld).then((status) => seen.push(status)));
  expect(await gate.arrived(3)).toBe(true);
  expect([await gate.waiting(), seen]).toEqual([3, []]);
  await gate.release(1);
  await gate.release();
  await Promise.all(calls);
  expect(seen).toEqual([200, 200, 200]);
  await gate.open();
  expect(await me(cozeWorld)).toBe(200);
  await gate.open(); // once more, without harm
});

test('API calls of your own are answered', async ({ cozeWorld }) => {
  const bot = await cozeWorld.addApi(Api.json('GET', '/v1/bots/{bot_id}', { code: 0, data: { name: 'Mock' } }));
  await cozeWorld.addApi(Api.text('GET', '/v1/busy', 'no').status(429).header('retry-after', '3'));
  await cozeWorld.addApi(Api.events('POST', '/v3/chat', [['conversation.message.delta', { content: 'Hi' }], ['', '[DONE]']]).pause(1));
  const call = (path: string, body?: object) => send(cozeWorld.baseURL, path, { bearer: 'pat_mock_alice', body });
  expect((await call('/v1/bots/7')).json.data.name).toBe('Mock');
  const busy = await call('/v1/busy');
  expect([busy.status, busy.json, busy.headers['retry-after']]).toEqual([429, 'no', '3']);
  expect((await call('/v3/chat', {})).json).toBe('event: conversation.message.delta\ndata: {"content":"Hi"}\n\ndata: [DONE]\n\n');
  expect([await cozeWorld.removeApi(bot), await cozeWorld.removeApi(bot)]).toEqual([true, false]);
  expect((await call('/v1/bots/7')).status).toBe(404);
});

test('leaks are found', async ({ cozeWorld }) => {
  expect([await cozeWorld.leaks(), await cozeWorld.leaksIn('a log')]).toEqual([[], []]);
  const { refresh_token } = await logIn(cozeWorld);
  await send(cozeWorld.baseURL, `/v1/users/me?token=${refresh_token}`, { bearer: 'pat_mock_alice' });
  const [leak] = await cozeWorld.leaks();
  const last = (await cozeWorld.requests()).at(-1);
  expect(leak).toMatchObject({ kind: 'refresh_token', logid: last?.outcome.logid });
  expect(last?.leaks).toEqual([leak]);
  expect((await cozeWorld.leaksIn(`token is ${refresh_token}`)).map((one) => one.kind)).toEqual(['refresh_token']);
  expect(`${last}`).toContain(`leak=refresh_token@${leak.place}`);
});

test('a reset begins anew', async ({ cozeWorld }) => {
  await me(cozeWorld);
  expect((await cozeWorld.takeRequest())?.seq).toBe(1);
  await cozeWorld.fault(On.token(), Fault.reset());
  await cozeWorld.reset();
  expect([await cozeWorld.requests(), (await cozeWorld.control('GET', '/faults')).faults]).toEqual([[], []]);
  await me(cozeWorld);
  expect((await cozeWorld.takeRequest())?.seq, 'it is another one').toBe(1);
});

test('worlds share nothing', async ({ cozeAuthMock }) => {
  const one = cozeAuthMock.world('one');
  const two = await cozeAuthMock.makeWorld('two', { config: '[ttl]\naccess = "20s"\n', seed: 1, clock: NEW_YEAR, ttl: { hours: 1 }, port: 0 });
  expect([await two.clock.now(), await two.clock.isFrozen(), await one.clock.isFrozen()]).toEqual([NEW_YEAR, true, false]);
  expect((await logIn(two)).expires_in).toBe(NEW_YEAR.getTime() / 1000 + 20);
  expect([(await one.requests()).length, (await two.requests()).length]).toEqual([0, 2]);
  expect([one.name, two.name, cozeAuthMock.name]).toEqual(['one', 'two', null]);
  expect([await cozeAuthMock.removeWorld('two'), await cozeAuthMock.removeWorld('two')]).toEqual([true, false]);
  expect(await cozeAuthMock.removeWorld('one')).toBe(true);
  await expect(cozeAuthMock.makeWorld('bad', { config: '[ttl]\naccess = true\n' })).rejects.toThrow(ControlError);
});

const withPort = test.extend({ cozeWorldOptions: { port: 0 } });

withPort('a world has a port of its own', async ({ cozeWorld }) => {
  const url = cozeWorld.portURL ?? '';
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  expect((await send(url, '/_mock/v1/info')).json.base_url).toBe(url);
  await cozeWorld.closePort();
  expect(cozeWorld.portURL).toBeNull();
  expect(await cozeWorld.openPort()).toBe(cozeWorld.portURL);
});

test('a report tells the last requests, and why they were refused', async ({ cozeWorld }) => {
  expect(await cozeWorld.report()).toBe(`no requests to ${cozeWorld.baseURL}`);
  for (let number = 0; number < 60; number += 1) await me(cozeWorld);
  await me(cozeWorld, 'of-nobody');
  const lines = (await cozeWorld.report()).split('\n');
  expect(lines).toHaveLength(52);
  expect(lines[0]).toBe(`the last 50 of 61 requests to ${cozeWorld.baseURL}:`);
  expect(lines[1]).toMatch(/^ {2}12 GET users_me 200 rule=-/);
  expect(lines[50]).toMatch(/^ {2}61 GET users_me 401 4100 rule=/);
  const last = (await cozeWorld.requests()).at(-1);
  expect(lines[51]).toBe(`      rule: ${await cozeWorld.explain(last?.outcome.logid ?? '')}`);
});

test('an app that the configuration does not have is told', async ({ cozeAuthMock }) => {
  const config = '[[app]]\nkind = "web"\nclient_id = "app_web"\nclient_secret = "sec"\nredirect_uris = ["http://localhost:*/*"]\n';
  const world = await cozeAuthMock.makeWorld('few', { config });
  await expect(world.app('jwt')).rejects.toThrow(new MockError('the configuration has no app of the kind jwt; it has web'));
  await cozeAuthMock.removeWorld('few');
});
