/** A mock as a process of its own: starts it and ends it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Control, type Json } from './control.js';
import { StartError } from './errors.js';
import { binaryOf } from './launch.js';
import { type Consent, milliseconds, type Span } from './specs.js';
import { known, MockWorld } from './world.js';

// A guard only: it starts within milliseconds.
const START_MS = 30_000;
const STOP_MS = 10_000;
// What is kept of the log, which tells what goes wrong with the mock.
const LOG_LENGTH = 1_000_000;
// The mock would take them for its own, and this module could not control it any more.
const NOT_OURS = ['COZE_AUTH_MOCK_PUBLIC_URL', 'COZE_AUTH_MOCK_ADMIN_TOKEN'];

/** The path of the binary: what `COZE_AUTH_MOCK_BIN` names, else that of the package for this platform. */
export function findBinary(): string {
  try {
    return binaryOf('coze-auth-mock', 'coze-auth-mock', 'COZE_AUTH_MOCK_BIN');
  } catch (error) {
    throw new StartError((error as Error).message);
  }
}

/** How a mock is started. */
export interface StartOptions {
  /** A configuration as a text in TOML, or a `URL` of a file, such as `new URL('mock.toml', import.meta.url)`. */
  config?: string | URL;
  /** Decides about authorize requests and device codes in the place of a person. */
  consent?: Consent;
  /** Makes ids and tokens repeatable. */
  seed?: number;
  /** Turns rules off or on. */
  rules?: Record<string, boolean>;
  /** Serves https, with a CA of its own, which is `caPem`. */
  tls?: boolean;
  /** A loopback address and a port, of which 0 is a free one. By default `127.0.0.1:0`. */
  listen?: string;
}

/** How a world is made. */
export interface WorldOptions {
  /** A configuration in TOML. */
  config?: string;
  /** Makes ids and tokens repeatable. */
  seed?: number;
  /** A time such as `2026-01-01T00:00:00Z`, at which the clock then stands. */
  clock?: string | Date;
  /** How long of the machine's time the world is kept unused, in whole seconds, so a part counts as one. */
  ttl?: Span;
  /** Gives the world a port of its own; 0 is a free one. */
  port?: number;
}

/**
 * Starts a mock of its own, on a free port. It ends with `stop`, with the `await using` in which it stands, and with this process, however
 * that ends; it does not keep this process alive.
 *
 * A `StartError` if the binary is not found or refuses its settings; its text says why.
 */
export async function start(options: StartOptions = {}): Promise<CozeAuthMock> {
  const { config, consent, seed, rules = {}, tls = false, listen = '127.0.0.1:0' } = options;
  const given = ['serve', '--listen', listen, '--print', 'json', '--until-stdin-closes'];
  if (consent !== undefined) given.push('--consent', consent);
  if (seed !== undefined) given.push('--seed', String(seed));
  for (const [rule, on] of Object.entries(rules)) given.push('--rule', `${rule}=${on ? 'on' : 'off'}`);
  if (tls) given.push('--tls', 'self');
  if (config === undefined) return run(given);
  if (typeof config !== 'string') return run([...given, '--config', fileURLToPath(config)]);
  const folder = await mkdtemp(join(tmpdir(), 'coze-auth-mock-'));
  try {
    const file = join(folder, 'coze-auth-mock.toml');
    await writeFile(file, config);
    return await run([...given, '--config', file]);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function run(options: string[]): Promise<CozeAuthMock> {
  const process = new Process(findBinary(), options);
  const info = await process.started();
  return new CozeAuthMock(process, await Control.of(info.base_url), info.version);
}

/** The process, and the pipe at whose end it ends. */
class Process {
  log = '';
  private readonly child: ChildProcess;
  private readonly exit: Promise<unknown>;

  constructor(
    private readonly binary: string,
    options: string[],
  ) {
    const env: NodeJS.ProcessEnv = { RUST_LOG: 'warn', ...process.env };
    for (const name of NOT_OURS) delete env[name];
    // Detached: Ctrl-C is for this process, which may have questions to the mock while it ends.
    this.child = spawn(binary, options, { env, detached: true, windowsHide: true, stdio: 'pipe' });
    this.exit = once(this.child, 'close');
    // Told by `stop`, if it did not start.
    this.exit.catch(() => {});
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.log = (this.log + text).slice(-LOG_LENGTH);
    });
    // A mock that has ended does not read what ends it.
    this.child.stdin?.on('error', () => {});
  }

  /** What it prints when it listens. */
  async started(): Promise<Json> {
    let line = '';
    const alarm = setTimeout(() => this.child.kill('SIGKILL'), START_MS);
    try {
      this.child.stdout?.setEncoding('utf8');
      for await (const text of this.child.stdout?.iterator({ destroyOnReturn: false }) ?? []) {
        line += text;
        if (line.includes('\n')) break;
      }
      const info = JSON.parse(line);
      if (!info.base_url) throw new SyntaxError('another program');
      this.leave();
      return info;
    } catch {
      await this.stop().catch((error: Error) => {
        throw new StartError(`${this.binary} does not start: ${error.message}`, { cause: error });
      });
      const said = this.log.trim() || `it printed ${JSON.stringify(line.slice(0, 200))}`;
      throw new StartError(`${this.binary} did not start: ${said}`);
    } finally {
      clearTimeout(alarm);
    }
  }

  /** Does not wait for the mock at the end of this process. */
  private leave(): void {
    this.child.unref();
    for (const pipe of [this.child.stdin, this.child.stdout, this.child.stderr]) (pipe as Socket | null)?.unref();
  }

  async stop(): Promise<void> {
    this.child.ref();
    const alarm = setTimeout(() => this.child.kill('SIGKILL'), STOP_MS);
    this.child.stdin?.end();
    this.child.stdout?.destroy();
    try {
      await this.exit;
    } finally {
      clearTimeout(alarm);
    }
  }
}

/** A running mock, which `start` gives. It is its first world, too, which is at `/`: see `MockWorld`. */
export class CozeAuthMock extends MockWorld {
  /** @internal */
  constructor(
    private readonly process: Process,
    control: Control,
    /** The version of the mock. */
    readonly version: string,
  ) {
    super(control, null);
  }

  /** The certificate, in PEM, of the CA that `tls` made; clients have to trust it. Null without TLS. */
  get caPem(): string | null {
    return this.plane.caPem;
  }

  /** What the mock has said on standard error: what goes wrong with it, and with `RUST_LOG=info` a line per request. */
  get log(): string {
    return this.process.log;
  }

  /** The world at `/t/{name}`, with apps, tokens, clock, journal, gates and faults of its own. The mock makes it at its first request, with the
   * mock's settings. */
  world(name: string): MockWorld {
    return new MockWorld(this.plane.at(`${this.baseURL}/t/${encodeURIComponent(name)}`), name);
  }

  /** Makes a world with settings of its own, and removes an earlier world of that name. */
  async makeWorld(name: string, { config, seed, clock, ttl, port }: WorldOptions = {}): Promise<MockWorld> {
    const ttl_s = ttl === undefined ? undefined : Math.ceil(milliseconds(ttl) / 1000);
    const made = await this.plane.send('POST', '/worlds', { name, config, seed, clock, ttl_s, port });
    const world = new MockWorld(this.plane.at(made.base_url), name);
    world.portURL = made.port_url ?? null;
    return world;
  }

  /** Removes the world at `/t/{name}` and ends it. Returns false if there is none. */
  removeWorld(name: string): Promise<boolean> {
    return known(this.plane, 'DELETE', `/worlds/${encodeURIComponent(name)}`);
  }

  /** Stops the mock, and waits until it has ended. Nothing happens if it has. */
  async stop(): Promise<void> {
    await this.process.stop();
    this.plane.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
