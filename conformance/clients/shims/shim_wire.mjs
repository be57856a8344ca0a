// The half of a JavaScript shim that is the same for every library: the wire, the clock, the answers (README.md).
// Import it before the library: it takes over Date, setTimeout and what is printed. Then call `serve`.
import readline from 'node:readline';
import { format } from 'node:util';

const write = process.stdout.write.bind(process.stdout);
// Half a character of a server's text is none of JSON's: most readers refuse the whole line.
const whole = (_, value) => (typeof value === 'string' ? value.toWellFormed() : value);
const send = (message) => write(`${JSON.stringify(message, whole)}\n`);

/** At most what a line may hold, and no half of a character at the end. */
const cut = (text) => Buffer.from(text.slice(0, 65536)).toString();
const log = (level, text) => text.trim() && send({ ev: 'log', level, text: cut(text) });

const LEVELS = { debug: 'debug', log: 'info', info: 'info', warn: 'warning', error: 'error', trace: 'error' };
for (const [name, level] of Object.entries(LEVELS)) console[name] = (...said) => log(level, format(...said));
process.stdout.write = (text) => Boolean(log('info', String(text))) || true; // it is the protocol's alone

/** The library has no such feature. */
export class Unsupported extends Error {}
/** The runner's fault, or the shim's. */
export class Misused extends Error {}
/** A sleep that never returns. */
class Abandoned extends Error {}

// --- time: the runner owns it ---

const RealDate = Date;
const realTimeout = setTimeout;
const SHORTEST_SLEEP_MS = 500;
const sleepers = new Map();
let now = 0;
let sleeps = 0;

RealDate.now = () => now;
globalThis.Date = new Proxy(RealDate, {
  construct: (target, given, kind) => Reflect.construct(target, given.length ? given : [now], kind),
  apply: () => new RealDate(now).toString(),
});

/** Timers of the files whose path `isLibrary` takes are sleeps; all others, so HTTP timeouts, stay real. */
export function sleepsOf(isLibrary) {
  globalThis.setTimeout = (wake, ms, ...rest) => {
    const caller = new Error().stack.split('\n')[2];
    if (!(ms >= SHORTEST_SLEEP_MS) || !isLibrary(caller)) return realTimeout(wake, ms, ...rest);
    sleeps += 1;
    sleepers.set(sleeps, () => wake(...rest));
    send({ ev: 'sleep', n: sleeps, ms: Math.round(ms) });
    return sleeps;
  };
}

// --- answers ---

/** A map that knows what to say of a name that it has not. */
export class Handles extends Map {
  get(name) {
    if (!this.has(name)) throw new Misused(`no such handle: ${name}`);
    return super.get(name);
  }
}

/**
 * `about` answers hello; `errorOf` makes what was thrown the protocol's; `Case` has a method for each operation, named
 * as the operation is, which gets its arguments, an `AbortSignal`, and `failed`, which makes what one of many callers got an
 * answer.
 */
export function serve({ about, Case, errorOf }) {
  let current;
  const running = new Map();

  async function operate(op, args, signal) {
    if (op === 'hello') {
      if (!args.protocol?.includes(1)) throw new Misused('this shim speaks version 1');
      return { protocol: 1, ...about };
    }
    if (op === 'case') {
      if (!args.base_url) throw new Misused('a case has a base_url');
      current = new Case(args);
      return {};
    }
    const known = (op === 'refresh' || op.includes('.')) && Object.hasOwn(Case.prototype, op);
    if (!known) throw new Unsupported(`unknown operation ${op}`);
    if (!current) throw new Misused('no case yet');
    return current[op](args, signal, { failed: toRunner });
  }

  function toRunner(why) {
    if (why instanceof Unsupported) return { unsupported: why.message };
    if (why instanceof Misused) return { err: { kind: 'protocol', message: why.message } };
    if (why instanceof Abandoned) return { err: { kind: 'abandoned', message: 'a sleep did not return' } };
    return { err: { type: why.name, message: cut(String(why.message ?? why)), ...errorOf(why) } };
  }

  async function request({ id, op, args }) {
    const stop = new AbortController();
    const given = new Promise((_, abandon) => running.set(id, { stop, abandon }));
    try {
      send({ id, ok: (await Promise.race([operate(op, args, stop.signal), given])) ?? {} });
    } catch (why) {
      send({ id, ...toRunner(why ?? new Error('thrown without a reason')) });
    } finally {
      running.delete(id);
    }
  }

  function cancel({ id, args }) {
    const operation = running.get(args.id);
    if (!operation) throw new Misused(`operation ${args.id} is not running`);
    operation.stop.abort();
    send({ id, ok: {} });
  }

  function take(message) {
    if (message.unix_ms !== undefined) now = message.unix_ms;
    const sleeper = message.wake ?? message.abandon;
    if (sleeper !== undefined) {
      const wake = sleepers.get(sleeper);
      if (!wake) throw new Misused(`no such sleep: ${sleeper}`);
      sleepers.delete(sleeper);
      if (message.wake !== undefined) wake();
      else for (const { abandon } of running.values()) abandon(new Abandoned());
    } else if (message.op === 'exit') process.exit(0);
    else if (message.op === 'process.end') end(message);
    else if (message.op === 'cancel') cancel(message);
    else if (message.op && message.args && message.id !== undefined) request(message);
    else throw new Misused('neither a request nor a wake');
  }

  /** Nothing of the shim's keeps the process from here on. */
  function end({ id }) {
    current = undefined;
    lines.off('close', exit);
    lines.close();
    process.stdin.destroy();
    send({ id, ok: {} });
  }

  const exit = () => process.exit(0);
  const lines = readline
    .createInterface({ input: process.stdin, crlfDelay: Infinity })
    .on('line', (line) => {
      let id = null;
      try {
        const message = JSON.parse(line);
        id = message.id ?? null;
        take(message);
      } catch (why) {
        send({ id, err: { kind: 'protocol', message: `${why.name}: ${why.message}` } });
      }
    })
    .on('close', exit);
}
