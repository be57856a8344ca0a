// The fixtures of this project: apps as @coze/api takes them, in a world of the mock.
import { CozeAPI } from '@coze/api';
import { test as base } from 'coze-auth-mock/vitest';
import { expect } from 'vitest';
import type { App } from './coze-session.js';

export const CALLBACK = 'https://app.example/callback';

interface Fixtures {
  onTimeOfTheWorld: void;
  nothingLeaks: void;
  web: App & { clientSecret: string; redirectUrl: string };
  device: App;
  jwt: { baseURL: string; appId: string; keyid: string; privateKey: string; aud: string };
  nameOf: (token: string) => Promise<string>;
}

export const test = base.extend<Fixtures>({
  // Client and mock read one clock, and a pause of the client moves it. Nobody waits.
  onTimeOfTheWorld: [
    async ({ cozeWorld }, use) => {
      await cozeWorld.clock.install();
      await use();
    },
    { auto: true },
  ],
  nothingLeaks: [
    async ({ cozeWorld }, use) => {
      await use();
      expect(await cozeWorld.leaks()).toEqual([]);
    },
    { auto: true },
  ],
  web: async ({ cozeWorld }, use) => {
    const { clientId, clientSecret } = await cozeWorld.app('web');
    await use({ baseURL: cozeWorld.baseURL, clientId, clientSecret, redirectUrl: CALLBACK });
  },
  device: async ({ cozeWorld }, use) => {
    const { clientId } = await cozeWorld.app('device');
    await use({ baseURL: cozeWorld.baseURL, clientId });
  },
  jwt: async ({ cozeWorld }, use) => {
    const { clientId, keyId, privateKey } = await cozeWorld.app('jwt');
    await use({ baseURL: cozeWorld.baseURL, appId: clientId, keyid: keyId, privateKey, aud: new URL(cozeWorld.baseURL).host });
  },
  nameOf: async ({ cozeWorld }, use) => {
    await use(async (token) => (await new CozeAPI({ baseURL: cozeWorld.baseURL, token }).users.me()).user_name);
  },
});
