// A login that has to last: expiry, refused refreshes, gateways and broken connections.
import { getWebAuthenticationUrl, getWebOAuthToken, type OAuthToken } from '@coze/api';
import { Expect, Fault, On, RequestFilter } from 'coze-auth-mock';
import { expect } from 'vitest';
import { test as base } from './coze.js';
import { LoginNeeded, Session, TryLater } from './coze-session.js';

const REFRESH = On.grant('refresh_token');

const test = base.extend<{ saved: OAuthToken[]; session: Session }>({
  saved: async ({}, use) => use([]),
  session: async ({ cozeWorld, web, saved }, use) => {
    const { searchParams } = await cozeWorld.authorize(getWebAuthenticationUrl(web));
    const token = await getWebOAuthToken({ ...web, code: searchParams.get('code') ?? '' });
    await use(new Session(web, token, (one) => saved.push(one)));
  },
});

test('a token is renewed before it ends, and stored first', async ({ cozeWorld, session, saved }) => {
  const first = await session.accessToken();
  expect(await session.accessToken()).toBe(first);
  await cozeWorld.verify(Expect.exactly(0, REFRESH));
  await cozeWorld.clock.advance({ minutes: 14.5 });
  const second = await session.accessToken();
  expect(second).not.toBe(first);
  expect(saved.at(-1)?.access_token).toBe(second);
  await cozeWorld.verify(Expect.exactly(1, RequestFilter.on(REFRESH).status(200)));
});

test('a session lasts for a day', async ({ cozeWorld, session, saved }) => {
  for (let quarter = 0; quarter < 24 * 4; quarter += 1) {
    await cozeWorld.clock.advance({ minutes: 15 });
    await session.accessToken();
  }
  expect(new Set(saved.map((token) => token.refresh_token)).size).toBe(96);
});

test('a refresh that is refused needs a login', async ({ cozeWorld, session, saved }) => {
  await cozeWorld.clock.advance({ minutes: 15 });
  await session.accessToken();
  await cozeWorld.revoke(saved[0].refresh_token);
  await cozeWorld.clock.advance({ minutes: 15 });
  const needed = await session.accessToken().catch((error) => error);
  expect(needed).toBeInstanceOf(LoginNeeded);
  expect(await cozeWorld.explain(needed.message)).toMatchObject({ rule: 'refresh.revoked' });
});

test('a page of a gateway is not a refusal', async ({ cozeWorld, session }) => {
  const page = '<html><body>502 Bad Gateway</body></html>';
  await cozeWorld.fault(REFRESH, Fault.status(502).body(page).header('content-type', 'text/html').times(1));
  await cozeWorld.clock.advance({ minutes: 15 });
  await expect(session.accessToken()).rejects.toThrow(new TryLater('HTTP 502'));
  expect(await session.accessToken()).toBeTruthy(); // the refresh token was not spent
});

test('a connection that breaks before Coze has acted costs nothing', async ({ cozeWorld, session }) => {
  await cozeWorld.fault(REFRESH, Fault.reset().times(1));
  await cozeWorld.clock.advance({ minutes: 15 });
  await expect(session.accessToken()).rejects.toThrow(TryLater);
  expect(await session.accessToken()).toBeTruthy();
});

test('an answer that is lost costs the login', async ({ cozeWorld, session }) => {
  await cozeWorld.fault(REFRESH, Fault.reset().at('answer').times(1));
  await cozeWorld.clock.advance({ minutes: 15 });
  await expect(session.accessToken()).rejects.toThrow(TryLater);
  const needed = await session.accessToken().catch((error) => error); // the old refresh token is spent, and the new one never arrived
  expect(needed).toBeInstanceOf(LoginNeeded);
  expect(await cozeWorld.explain(needed.message)).toMatchObject({ rule: 'refresh.rotate' });
});
