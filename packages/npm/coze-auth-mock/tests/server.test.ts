// How a mock starts, and how it ends.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { ControlError, findBinary, MockError, start, StartError } from 'coze-auth-mock';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { me, send } from './client.js';

const POSIX = process.platform !== 'win32';

afterEach(() => vi.unstubAllEnvs());

const answers = (base: string) => send(base, '/_mock/v1/health').then(({ json }) => json.ok === true, () => false);

/** Waits for the end of a mock, whose only sign is that nothing answers. The bound is a guard. */
async function ended(base: string): Promise<boolean> {
  for (let tries = 0; tries < 1000; tries += 1) {
    if (!(await answers(base))) return true;
    await sleep(10);
  }
  return false;
}

const temporary = () => mkdtempSync(join(tmpdir(), 'coze auth-'));

/** A node that starts a mock, tells its address, and then does what is given. */
function child(program: string): ChildProcess {
  const file = join(import.meta.dirname, `child-${Math.random().toString(36).slice(2)}.mjs`);
  const begin = "import { unlinkSync } from 'node:fs';\nimport { start } from 'coze-auth-mock';\nunlinkSync(import.meta.filename);\n";
  writeFileSync(file, `${begin}const mock = await start();\nconsole.log(mock.baseURL);\n${program}`);
  return spawn(process.execPath, [file], { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
}

const linesOf = (process: ChildProcess) => createInterface({ input: process.stdout! })[Symbol.asyncIterator]();
const exit = (process: ChildProcess) => new Promise((done) => process.once('exit', (status, signal) => done(status ?? signal)));

describe('a mock', () => {
  test('answers when start returns, and ends with its scope', async () => {
    let base;
    {
      await using mock = await start();
      base = mock.baseURL;
      expect(base).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
      expect(mock.version).toMatch(/^\d+\.\d+\.\d+/);
      expect([await answers(base), mock.caPem, mock.name]).toEqual([true, null, null]);
    }
    expect(await answers(base)).toBe(false);
  });

  test('is stopped once more without harm, and then says that it has ended', async () => {
    const mock = await start();
    await mock.stop();
    await mock.stop();
    const error = await mock.requests().catch((error) => error);
    expect(error).toBeInstanceOf(ControlError);
    expect([error.status, error.message]).toEqual([null, expect.stringContaining(`the mock does not answer at ${mock.baseURL}, so it has ended`)]);
  });

  test('knows nothing of another one', async () => {
    await using one = await start();
    await using two = await start();
    await one.revoke('pat_mock_alice');
    expect([await me(one), await me(two)]).toEqual([401, 200]);
  });

  test('does not keep its process alive, and ends with it', async () => {
    const process = child('');
    const { value: base } = await linesOf(process).next();
    expect(await exit(process)).toBe(0);
    expect(await ended(base)).toBe(true);
  });

  test('ends with a process that throws', async () => {
    const process = child("console.error = () => {}; process.on('uncaughtException', () => process.exit(3)); throw new Error('by itself');");
    const { value: base } = await linesOf(process).next();
    expect(await exit(process)).toBe(3);
    expect(await ended(base)).toBe(true);
  });

  test.runIf(POSIX)('ends with a process that is killed', async () => {
    const process = child('setInterval(() => {}, 1000);');
    const { value: base } = await linesOf(process).next();
    expect(await answers(base)).toBe(true);
    process.kill('SIGKILL');
    expect(await exit(process)).toBe('SIGKILL');
    expect(await ended(base)).toBe(true);
  });

  test.runIf(POSIX)('ends with a worker that is terminated', async () => {
    const program = `
      import { Worker } from 'node:worker_threads';
      const code = "import('coze-auth-mock').then(async ({ start }) => { globalThis.mock = await start(); console.log(mock.baseURL); setInterval(() => {}, 1000) })";
      const worker = new Worker(code, { eval: true });
      process.stdin.once('data', async () => { await worker.terminate(); console.log('terminated'); });`;
    const process = child(program);
    const lines = linesOf(process);
    await lines.next();
    const { value: base } = await lines.next();
    process.stdin!.write('\n');
    expect((await lines.next()).value).toBe('terminated');
    expect(await ended(base)).toBe(true);
    process.kill();
  });

  test.runIf(POSIX)('is not ended by Ctrl-C, which is for the tests', async () => {
    const process = child("process.once('SIGINT', async () => { console.log((await mock.control('GET', '/health')).ok); process.exit(); }); console.log('ready'); setInterval(() => {}, 1000);");
    const lines = linesOf(process);
    const { value: base } = await lines.next();
    await lines.next();
    globalThis.process.kill(-process.pid!, 'SIGINT');
    expect((await lines.next()).value).toBe('true');
    expect(await ended(base)).toBe(true);
  });

  test('does not take the variables of this process for its own', async () => {
    vi.stubEnv('COZE_AUTH_MOCK_PUBLIC_URL', 'http://mock.example:1');
    vi.stubEnv('COZE_AUTH_MOCK_ADMIN_TOKEN', 'secret');
    vi.stubEnv('HTTP_PROXY', 'http://127.0.0.1:9');
    vi.stubEnv('NODE_USE_ENV_PROXY', '1');
    await using mock = await start();
    expect((await mock.info()).base_url).toBe(mock.baseURL);
  });

  test('has a log', async () => {
    vi.stubEnv('RUST_LOG', 'info');
    await using mock = await start();
    await me(mock);
    await vi.waitFor(() => expect(mock.log).toContain('path="/v1/users/me" status=200'), { timeout: 10_000 });
  });

  test('has worlds of any name', async () => {
    await using mock = await start();
    await mock.makeWorld('a');
    for (const name of ['a?x=1', 'a#b', 'a b', 'a\nb', '世界', '../a']) {
      expect(await mock.removeWorld(name)).toBe(false);
      const error = await mock.world(name).requests().catch((error) => error);
      expect(error).toMatchObject({ name: 'ControlError', message: expect.not.stringContaining('has ended') });
    }
    expect(await mock.removeWorld('a')).toBe(true);
  });
});

describe('options', () => {
  const text = '[[app]]\nkind = "web"\nclient_id = "app_web"\nclient_secret = "sec"\nredirect_uris = ["http://localhost:*/*"]\n';

  test('a configuration is a text or a file', async () => {
    const file = join(temporary(), 'mock.toml');
    writeFileSync(file, text);
    for (const config of [text, pathToFileURL(file)]) {
      await using mock = await start({ config });
      expect((await mock.apps()).map(({ kind, clientId, clientSecret }) => [kind, clientId, clientSecret])).toEqual([['web', 'app_web', 'sec']]);
    }
  });

  test('a configuration that is refused is told in the words of the mock', async () => {
    const error = await start({ config: '[rules]\ncode.singel_use = "off"\n' }).catch((error) => error);
    expect(error).toBeInstanceOf(StartError);
    expect(error).toBeInstanceOf(MockError);
    expect(error.message).toContain('did you mean "code.single_use"');
  });

  test('are those of the command', async () => {
    await using mock = await start({ consent: 'deny', rules: { 'code.single_use': false } });
    const { rules } = await mock.control('GET', '/fidelity');
    const on = Object.fromEntries(rules.map((rule: { id: string; on: boolean }) => [rule.id, rule.on]));
    expect([on['code.single_use'], on['refresh.rotate']]).toEqual([false, true]);
  });

  test('a seed makes tokens repeatable', async () => {
    const first = async () => {
      await using mock = await start({ seed: 7 });
      const world = await mock.makeWorld('w', { clock: '2026-01-01T00:00:00Z' });
      const { client_id } = { client_id: (await world.app('web')).clientId };
      const query = new URLSearchParams({ client_id, response_type: 'code', redirect_uri: 'https://app.example/callback', state: 's' });
      return String(await world.authorize(`${world.baseURL}/api/permission/oauth2/authorize?${query}`));
    };
    const [one, two] = [await first(), await first()];
    expect(one).toBe(two);
    expect(one).toContain('code=code_mock_');
  });

  test('https has a CA of its own', async () => {
    await using mock = await start({ tls: true });
    expect(mock.baseURL).toMatch(/^https:/);
    expect((await mock.world('a').info()).base_url).toBe(`${mock.baseURL}/t/a`);
    const status = await new Promise((resolve, reject) => {
      https.get(`${mock.baseURL}/_mock/v1/health`, { ca: mock.caPem!, agent: false }, (reply) => resolve(reply.resume().statusCode)).on('error', reject);
    });
    expect(status).toBe(200);
  });

  test('a port that is in use is told', async () => {
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as { port: number };
    await expect(start({ listen: `127.0.0.1:${port}` })).rejects.toThrow(`127.0.0.1:${port}`);
    server.close();
  });
});

describe('the binary', () => {
  const program = (text: string) => {
    const file = join(temporary(), 'other program');
    writeFileSync(file, text);
    chmodSync(file, 0o755);
    vi.stubEnv('COZE_AUTH_MOCK_BIN', file);
    return file;
  };

  test('is what the variable names, else that of the package', async () => {
    const here = findBinary();
    expect(here).toContain(`coze-auth-mock-${process.platform}-${process.arch}`);
    const named = program('');
    expect(findBinary()).toBe(named);
    vi.stubEnv('COZE_AUTH_MOCK_BIN', join(named, 'gone'));
    await expect(start()).rejects.toThrow(new StartError(`COZE_AUTH_MOCK_BIN names ${join(named, 'gone')}, which is not a program: correct it, or unset it`));
  });

  test.runIf(POSIX)('that is not a mock is told by what it said', async () => {
    const file = program("#!/bin/sh\necho hello\necho 'no mock here' >&2\n");
    await expect(start()).rejects.toThrow(new StartError(`${file} did not start: no mock here`));
    program("#!/bin/sh\necho '[]'\n");
    await expect(start()).rejects.toThrow(/did not start: it printed "\[\]\\n"$/);
    program('#!/bin/sh\n');
    await expect(start()).rejects.toThrow(/did not start: it printed ""$/);
    program('#!/of/nothing\n');
    await expect(start()).rejects.toThrow(/does not start: spawn .* ENOENT$/);
    chmodSync(program('#!/bin/sh\n'), 0o644);
    await expect(start()).rejects.toThrow(/does not start: spawn .* EACCES$/);
  });

  // A copy of the package as it may lie in a node_modules, whose process says that it is on another platform.
  const elsewhere = (process: object, ...others: string[]) => {
    const modules = join(temporary(), 'node_modules');
    const dist = join(modules, 'coze-auth-mock', 'dist');
    mkdirSync(dist, { recursive: true });
    writeFileSync(join(modules, 'coze-auth-mock', 'package.json'), '{"type":"module"}');
    const launch = new URL('launch.js', import.meta.resolve('coze-auth-mock'));
    const set = Object.entries(process).map(([name, value]) => `Object.defineProperty(process, '${name}', { value: ${value} });\n`);
    writeFileSync(join(dist, 'launch.js'), set.join('') + readFileSync(launch, 'utf8'));
    for (const other of others) {
      mkdirSync(join(modules, other, 'bin'), { recursive: true });
      writeFileSync(join(modules, other, 'bin', 'coze-auth-mock'), '');
    }
    const run = `import('${pathToFileURL(join(dist, 'launch.js'))}').then(({ launch }) => launch('coze-auth-mock', 'coze-auth-mock', 'COZE_AUTH_MOCK_BIN', []))`;
    try {
      execFileSync(globalThis.process.execPath, ['-e', run], { encoding: 'utf8', stdio: 'pipe' });
    } catch (error) {
      return (error as { stderr: string }).stderr;
    }
    return expect.fail('it started');
  };
  const LINUX = { platform: '"linux"', arch: '"x64"' };
  const glibc = (version?: string) => `{ getReport: () => ({ header: { glibcVersionRuntime: ${JSON.stringify(version)} } }) }`;

  test('that npm left out is told with what to do', () => {
    expect(elsewhere({ ...LINUX, report: glibc('2.36') })).toMatch(
      /^error: the package coze-auth-mock-linux-x64, which has the binary of coze-auth-mock for this platform, is not installed: npm was told to leave out optional dependencies \(--omit=optional.* or got one of the two archives of a checkout: .* or with both archives\n$/,
    );
  });

  test('of another platform is told with what to do', () => {
    expect(elsewhere({ ...LINUX, report: glibc('2.36') }, 'coze-auth-mock-darwin-arm64')).toContain(
      'node_modules has that of darwin-arm64, so it was installed on another platform: delete node_modules and install here',
    );
  });

  test('that needs glibc is told on Alpine', () => {
    expect(elsewhere({ ...LINUX, report: glibc() })).toContain('it needs glibc, and this system has musl (Alpine): use an image with glibc');
  });

  test('that nobody builds is told with what to do', () => {
    expect(elsewhere({ platform: '"freebsd"', arch: '"x64"' })).toMatch(
      /^error: coze-auth-mock has no binary for freebsd-x64, but for darwin-arm64, .*: build one with cargo \(cargo install coze-auth-mock\) and name it in the variable COZE_AUTH_MOCK_BIN\n$/,
    );
  });
});

describe('the command', () => {
  const command = join(import.meta.dirname, '..', 'node_modules', '.bin', 'coze-auth-mock');
  const run = (...words: string[]) => spawn(process.execPath, [command, ...words], { stdio: 'pipe' });

  test('has the arguments, the output and the exit status of the binary', async () => {
    const wrong = run('--no-such');
    let said = '';
    wrong.stderr.on('data', (text) => (said += text));
    expect(await exit(wrong)).toBe(2);
    expect(said).toContain('--no-such');
    const told = run('--version');
    expect((await linesOf(told).next()).value).toMatch(/^coze-auth-mock \d/);
    expect(await exit(told)).toBe(0);
  });

  test.runIf(POSIX).for([['SIGTERM', 0], ['SIGINT', 0], ['SIGKILL', 'SIGKILL']] as const)('ends by %s, and leaves no mock', async ([signal, status]) => {
    const serving = run('--listen', '127.0.0.1:0', '--print', 'json');
    const { base_url } = JSON.parse((await linesOf(serving).next()).value);
    expect(await answers(base_url)).toBe(true);
    serving.kill(signal);
    expect(await exit(serving)).toBe(status);
    expect(await ended(base_url)).toBe(true);
  });

  test('serves until standard input closes, if it is told to', async () => {
    const serving = run('serve', '--listen', '127.0.0.1:0', '--print', 'json', '--until-stdin-closes');
    await linesOf(serving).next();
    serving.stdin.end();
    expect(await exit(serving)).toBe(0);
  });

  test('is available to require', () => {
    const program = "console.log(typeof require('coze-auth-mock').start, typeof require('coze-auth-mock/node-test').cozeWorld)";
    const said = execFileSync(process.execPath, ['--disable-warning=ExperimentalWarning', '-e', program], { cwd: import.meta.dirname, encoding: 'utf8' });
    expect(said).toBe('function function\n');
  });
});
