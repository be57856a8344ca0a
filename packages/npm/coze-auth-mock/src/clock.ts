/** The clock of a world, and how a client in this process gets it. */
import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers';
import promises from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Control } from './control.js';
import { MockError } from './errors.js';
import { milliseconds, type Span } from './specs.js';

// A shorter timer is not a pause of a client that waits for Coze.
const LEAST_PAUSE_MS = 1000;

/** The clock of a world. */
export class Clock {
  /** @internal */
  constructor(private readonly control: Control) {}

  /** Unix time in milliseconds. */
  async unixMs(): Promise<number> {
    return (await this.control.send('GET', '/clock')).now_ms;
  }

  /** The time. */
  async now(): Promise<Date> {
    return new Date(await this.unixMs());
  }

  /** Advances the clock. */
  async advance(by: Span): Promise<void> {
    await this.change({ advance_ms: milliseconds(by) });
  }

  /** Sets the clock to a time, or to Unix milliseconds. It may go back. */
  async set(to: Date | number): Promise<void> {
    await this.change({ set_ms: milliseconds(Number(to)) });
  }

  /** Stops the clock at its present time. */
  async freeze(): Promise<void> {
    await this.change({ mode: 'frozen' });
  }

  /** Returns to the machine's time. */
  async runReal(): Promise<void> {
    if (this.isInstalled()) throw new MockError('the clock is installed in this process, so it cannot run: uninstall it');
    await this.change({ mode: 'real' });
  }

  /** Returns true if the clock moves only when it is set or advanced. */
  async isFrozen(): Promise<boolean> {
    return (await this.control.send('GET', '/clock')).mode === 'frozen';
  }

  /**
   * Freezes the clock, and makes it the one of this process: `Date` tells its time, and a `setTimeout` of a second or more, also of
   * `node:timers/promises`, moves it instead of waiting. A time-out of a client that is such a timer strikes at once, since nothing tells it
   * from a pause. Shorter timers, intervals and sockets keep the machine's time. It is the process's until `uninstall`, which the fixtures call
   * at the end of a test. A `MockError` if another clock is installed.
   */
  async install(): Promise<void> {
    if (installed && !this.isInstalled()) {
      throw new MockError('the clock of another world is installed in this process: uninstall it, and do not run such tests of one file at once');
    }
    const nowMs = await this.change({ mode: 'frozen' });
    installed ??= new Installed(this);
    installed.nowMs = nowMs;
  }

  /** Gives this process the machine's time again. The clock of the world stays frozen. Nothing happens if it is not installed. */
  uninstall(): void {
    if (!this.isInstalled()) return;
    installed?.remove();
    installed = undefined;
  }

  private async change(how: object): Promise<number> {
    const { now_ms } = await this.control.send('POST', '/clock', how);
    if (this.isInstalled()) installed!.nowMs = now_ms;
    return now_ms;
  }

  private isInstalled(): boolean {
    return installed?.clock.control.baseURL === this.control.baseURL;
  }
}

let installed: Installed | undefined;

/** What stands in for the time of this process. */
class Installed {
  nowMs = 0;
  private readonly real = {
    Date: globalThis.Date,
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    sleep: promises.setTimeout,
  };
  private readonly pauses = new Set<unknown>();

  constructor(readonly clock: Clock) {
    const setTimeout = this.setTimeout as typeof globalThis.setTimeout;
    Object.defineProperty(setTimeout, promisify.custom, { value: this.sleep });
    this.put(this.date(), setTimeout, this.clearTimeout, this.sleep as typeof this.real.sleep);
  }

  remove(): void {
    const { Date, setTimeout, clearTimeout, sleep } = this.real;
    this.put(Date, setTimeout, clearTimeout, sleep);
  }

  private put(
    date: DateConstructor,
    setTimeout: typeof globalThis.setTimeout,
    clearTimeout: typeof globalThis.clearTimeout,
    sleep: typeof promises.setTimeout,
  ): void {
    Object.assign(globalThis, { Date: date, setTimeout, clearTimeout });
    Object.assign(timers, { setTimeout, clearTimeout });
    promises.setTimeout = sleep;
    // Also for who has imported them by name.
    syncBuiltinESMExports();
  }

  private date(): DateConstructor {
    const now = () => this.nowMs;
    return new Proxy(this.real.Date, {
      apply: (real) => new real(now()).toString(),
      construct: (real, given, made) => Reflect.construct(real, given.length ? given : [now()], made),
      get: (real, name) => (name === 'now' ? now : Reflect.get(real, name)),
    });
  }

  private readonly setTimeout = (wake: (...given: unknown[]) => void, ms?: number, ...given: unknown[]): unknown => {
    if (!(Number(ms) >= LEAST_PAUSE_MS)) return this.real.setTimeout(wake, ms, ...given);
    const pause = this.real.setTimeout(async () => {
      await this.clock.advance(Number(ms));
      if (this.pauses.delete(pause)) wake(...given);
    }, 0);
    this.pauses.add(pause);
    return pause;
  };

  private readonly clearTimeout = (timer?: unknown): void => {
    this.pauses.delete(timer);
    this.real.clearTimeout(timer as NodeJS.Timeout);
  };

  private readonly sleep = async (ms?: number, value?: unknown, options?: { signal?: AbortSignal }): Promise<unknown> => {
    if (!(Number(ms) >= LEAST_PAUSE_MS)) return this.real.sleep(ms, value, options);
    options?.signal?.throwIfAborted();
    await this.clock.advance(Number(ms));
    return value;
  };
}
