// The fixtures of vitest and of node's test runner, in runs of their own.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const FOLDER = join(import.meta.dirname, 'runs');
const VITEST = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');

afterAll(() => rmSync(FOLDER, { recursive: true, force: true }));

/** A folder with these files. */
function folder(name: string, files: Record<string, string>): string {
  const made = join(FOLDER, name);
  mkdirSync(made, { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(made, file), text);
  return made;
}

/** What a run prints, and its exit status. */
async function run(cwd: string, ...words: string[]) {
  const { NODE_TEST_CONTEXT, VITEST: _, ...rest } = process.env;
  const env = { ...rest, NO_COLOR: '1', CI: '1' };
  const child = spawn(process.execPath, words, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const pipe of [child.stdout, child.stderr]) pipe.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const status = await new Promise((done) => child.once('close', done));
  return { status, text };
}

/** Status and errors of each test by its title, how often each title stands, and what was printed. */
async function vitest(cwd: string, ...options: string[]) {
  const json = join(cwd, 'report.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${json}`];
  const { text } = await run(cwd, VITEST, 'run', '--root', cwd, '--config', join(cwd, 'vitest.config.mjs'), ...reporters, ...options);
  const { testResults } = JSON.parse(readFileSync(json, 'utf8'));
  const all = testResults.flatMap((file: { assertionResults: unknown[] }) => file.assertionResults);
  const results = Object.fromEntries(all.map((one: { title: string }) => [one.title, one]));
  const failed = Object.values<any>(results).filter(({ status }) => status !== 'passed').map(({ title }) => title);
  return { text, failed: failed.sort(), errors: (title: string): string[] => results[title].failureMessages, tests: all.length };
}

const BEGIN = `
import http from 'node:http';
import { test } from 'coze-auth-mock/vitest';
import { describe, expect } from 'vitest';
const call = (world, bearer) => new Promise((done) => {
  http.get(world.baseURL + '/v1/users/me', { agent: false, headers: { authorization: 'Bearer ' + bearer } }, (reply) => reply.resume().on('end', () => done(reply.statusCode)));
});
`;

const WORLDS = `${BEGIN}
for (const n of [1, 2, 3]) {
  test('world ' + n, async ({ cozeWorld, cozeAuthMock }) => {
    console.log('WORLD', cozeWorld.name);
    console.log('MOCK', cozeAuthMock.baseURL);
    expect(await cozeWorld.requests()).toEqual([]);
    expect(await cozeWorld.revoke('pat_mock_alice')).toBe(true);
    expect((await cozeAuthMock.control('GET', '/worlds')).worlds.map((one) => one.name)).toEqual([cozeWorld.name]);
  });
}
test.for(['a/b', 'a b', '', 'é'.repeat(300), '>'])('name %s', async (name, { cozeWorld }) => {
  expect(cozeWorld.name).toMatch(/^vitest-name[A-Za-z0-9-]*-[0-9a-f]{8}$/);
  expect(cozeWorld.name.length).toBeLessThan(65);
  await cozeWorld.requests();
});
test.concurrent.for([1, 2, 3])('at once', async (n, { cozeWorld }) => {
  expect(await cozeWorld.requests()).toEqual([]);
  expect(await call(cozeWorld, 'of-nobody')).toBe(401);
  expect(await cozeWorld.requests()).toHaveLength(1);
});
let tries = 0;
test('again', { retry: 1 }, async ({ cozeWorld }) => {
  expect(await cozeWorld.requests()).toEqual([]);
  await call(cozeWorld, 'of-nobody');
  expect(++tries).toBe(2);
});
test('none is left', async ({ cozeAuthMock }) => {
  expect((await cozeAuthMock.control('GET', '/worlds')).worlds).toEqual([]);
});`;

const SETTINGS = `${BEGIN}
const of2026 = test.extend({ cozeWorldOptions: { clock: '2026-01-01T00:00:00Z', port: 0 } });
of2026('settings of a world', async ({ cozeWorld, cozeAuthMock }) => {
  console.log('MOCK', cozeAuthMock.baseURL);
  expect((await cozeWorld.clock.now()).toISOString()).toBe('2026-01-01T00:00:00.000Z');
  expect(cozeWorld.portURL).toBeTruthy();
});
const of2027 = test.extend({ cozeAuthMockOptions: [{ config: '[clock]\\nmode = "frozen"\\nstart = "2027-01-01T00:00:00Z"' }, { scope: 'worker' }] });
of2027('options of a mock', async ({ cozeWorld }) => {
  expect((await cozeWorld.clock.now()).getUTCFullYear()).toBe(2027);
});
const wrong = test.extend({ cozeWorldOptions: { clock: 'yesterday' } });
wrong('wrong settings', ({ cozeWorld }) => {});`;

const FAILING = `${BEGIN}
test('a call', async ({ cozeWorld, cozeAuthMock }) => {
  console.log('MOCK', cozeAuthMock.baseURL);
  await call(cozeWorld, 'of-nobody');
  expect(1).toBe(2);
});
test('passes', async ({ cozeWorld }) => { await call(cozeWorld, 'of-nobody'); });
test('without a mock', () => { expect(1).toBe(2); });
const strict = test.extend({
  strict: async ({ cozeWorld }, use) => { await use(); expect(await cozeWorld.requests(), 'at the end').toEqual([]); },
  broken: async ({ cozeWorld }, use) => { await call(cozeWorld, 'of-setup'); throw new Error('no set-up'); },
});
strict('at its end', async ({ cozeWorld, strict }) => { await call(cozeWorld, 'of-nobody'); });
strict('at its begin', async ({ broken }) => {});
test.fails('has to fail', async ({ cozeWorld }) => { expect(1).toBe(2); });
const other = test.extend({ cozeAuthMockOptions: [{ seed: 1 }, { scope: 'worker' }] });
other('ended', async ({ cozeWorld, cozeAuthMock }) => { await cozeAuthMock.stop(); throw new Error('the reason'); });`;

describe('vitest', { timeout: 60_000 }, () => {
  const cwd = join(FOLDER, 'vitest');
  const FAIL = ['a call', 'at its begin', 'at its end', 'ended', 'without a mock', 'wrong settings'];
  let parallel: Awaited<ReturnType<typeof vitest>>;
  beforeAll(async () => {
    const config = "export default { test: { include: ['*.test.mjs'] } };";
    folder('vitest', { 'vitest.config.mjs': config, 'worlds.test.mjs': WORLDS, 'settings.test.mjs': SETTINGS, 'failing.test.mjs': FAILING });
    parallel = await vitest(cwd);
  }, 60_000);

  test('each test has a world of its own, with its settings, and leaves none', () => {
    expect(parallel.failed, parallel.text).toEqual(FAIL);
    expect([parallel.tests, new Set(parallel.text.match(/WORLD \S+/g)).size]).toEqual([23, 3]);
    expect(parallel.errors('wrong settings')[0]).toMatch(/^ControlError: POST \/worlds: the mock answered 400/);
  });

  test('the journal is in the report of a test that fails', () => {
    const { text, errors } = parallel;
    for (const title of ['a call', 'at its end', 'at its begin']) {
      // vitest tells twice what fails at the end of a fixture.
      const journals = errors(title).filter((error) => error.includes('requests to'));
      expect(journals, title).toHaveLength(1);
      expect(errors(title)[0]).toMatch(title === 'at its begin' ? /no set-up/ : /AssertionError/);
      expect(journals[0]).toMatch(/^the last 1 of 1 requests to http:\/\/127\.0\.0\.1:\d+\/t\/vitest-[\w-]+:\n {2}1 GET users_me 401 4100 rule=\S+ logid=\S+\n {6}rule: /);
    }
    expect(errors('without a mock')).toHaveLength(1);
    expect(errors('ended')).toEqual([expect.stringContaining('the reason'), expect.stringContaining('so it has ended')]);
    expect(text.match(/coze-auth-mock journal: the last 1 of 1/g)).toHaveLength(3);
  });

  test('files that run at once have a mock each', () => {
    expect(new Set(parallel.text.match(/MOCK \S+/g)).size).toBe(3);
  });

  test('files of one worker, in a thread, are the same', async () => {
    const { text, failed } = await vitest(cwd, '--pool=threads', '--no-isolate', '--maxWorkers=1');
    expect(failed, text).toEqual(FAIL);
    const names = (text: string) => text.match(/WORLD \S+/g);
    expect(names(text), 'with a seed its tokens are to be the same').toEqual(names(parallel.text));
  });
});

describe("node's test runner", { timeout: 60_000 }, () => {
  const begin = `
    import assert from 'node:assert';
    import http from 'node:http';
    import { describe, it, test } from 'node:test';
    import { cozeAuthMock, cozeWorld } from 'coze-auth-mock/node-test';
    const call = (world, bearer) => new Promise((done) => {
      http.get(world.baseURL + '/v1/users/me', { agent: false, headers: { authorization: 'Bearer ' + bearer } }, (reply) => reply.resume().on('end', () => done(reply.statusCode)));
    });
  `;

  test('each test has a world of its own, and leaves none', async () => {
    const file = `${begin}
      const seen = [];
      const one = async (t) => {
        const world = await cozeWorld(t);
        console.log('MOCK', world.baseURL.split('/t/')[0]);
        seen.push(world.name);
        assert.deepEqual(await world.requests(), []);
        assert.equal(await world.revoke('pat_mock_alice'), true);
        t.after(async () => assert.equal(await world.revoke('pat_mock_alice'), true, 'it is there to the end'));
      };
      test('one', one);
      test('one', one);
      describe('a suite', { concurrency: true }, () => {
        it('one', one);
        it('two', async (t) => {
          const world = await cozeWorld(t, { clock: '2026-01-01T00:00:00Z' });
          await world.clock.install();
          assert.equal(Date.now(), Date.UTC(2026, 0, 1));
        });
      });
      test('none is left', async () => {
        assert.ok(Date.now() > Date.UTC(2026, 1, 1));
        const mock = await cozeAuthMock();
        for (let tries = 0; tries < 1000 && (await mock.control('GET', '/worlds')).worlds.length; tries += 1);
        assert.deepEqual((await mock.control('GET', '/worlds')).worlds, []);
        assert.ok(seen.every((name) => /^node-one-[0-9a-f]{8}(-2)?$/.test(name)), String(seen));
      });`;
    const left = `${begin} test('a mock that is left running does not hold the run', () => cozeAuthMock({ seed: 1 }));`;
    const cwd = folder('node', { 'one.test.mjs': file, 'two.test.mjs': file, 'three.test.mjs': left });
    const { status, text } = await run(cwd, '--test', '--test-reporter=tap');
    expect(status, text).toBe(0);
    expect(new Set(text.match(/MOCK \S+/g)).size).toBe(2);
  });

  test('the journal is beside a test that fails', async () => {
    const cwd = folder('node-failing', {
      'it.test.mjs': `${begin}
        test('a call', async (t) => { const world = await cozeWorld(t); await call(world, 'of-nobody'); assert.equal(1, 2); });
        test('passes', async (t) => { const world = await cozeWorld(t); await call(world, 'of-nobody'); });
        test('wrong', async (t) => { await cozeWorld(t, { clock: 'yesterday' }); });
        test('ended', async (t) => { await cozeWorld(t); await (await cozeAuthMock()).stop(); throw new Error('the reason'); });`,
    });
    const both = ['tap', 'spec'].flatMap((reporter) => [`--test-reporter=${reporter}`, `--test-reporter-destination=${join(cwd, reporter)}`]);
    expect((await run(cwd, '--test', ...both)).status).toBe(1);
    for (const reporter of ['tap', 'spec']) {
      const text = readFileSync(join(cwd, reporter), 'utf8');
      expect(text.match(/coze-auth-mock journal/g), text).toHaveLength(2);
      const [, report] = text.split('coze-auth-mock journal\n');
      expect(report).toMatch(/^\S+ the last 1 of 1 requests to http:\/\/127\.0\.0\.1:\d+\/t\/node-a-call-\w+:\n\S+ {3}1 GET users_me 401 4100 rule=\S+ logid=\S+\n\S+ {7}rule: /);
      expect(text).toContain('POST /worlds: the mock answered 400');
      expect(text).toContain('so it has ended');
    }
  });
});
