/** One world of a mock, as a test sees it. */
import { Clock } from './clock.js';
import { type Control, type Json, type Query, refusal } from './control.js';
import { AuthorizeError, ControlError, MockError, VerifyError } from './errors.js';
import { Explanation, JournalEntry, type Leak, leakOf } from './journal.js';
import {
  type Api,
  type AppKind,
  type At,
  type DeviceAction,
  type Expect,
  type Fault,
  milliseconds,
  type On,
  type Requests,
  type ScriptEnd,
  type ScriptStep,
  type Span,
  type TokenKind,
} from './specs.js';

// The mock waits for 60 s at most; a longer wait is several of them.
const LONGEST_WAIT_MS = 60_000;
const DEFAULT_WAIT: Span = { seconds: 10 };
// How many requests, and how many refusals, a report tells.
const REPORTED = 50;
const EXPLAINED = 5;

/** An app that a world knows, as its owner has registered it. */
export interface MockApp {
  kind: AppKind;
  /** Client id; of a JWT app the app id. */
  clientId: string;
  /** Only of a web app and a workload; else empty. */
  clientSecret: string;
  /** Of a JWT app, for the `kid` of its assertions; else empty. */
  keyId: string;
  /** Of a JWT app, in PEM. Empty if the configuration has only its public key. */
  privateKey: string;
  /** Of web and PKCE apps. One that ends with `:*​/*` is any port and path of its host. */
  redirectUris: string[];
  /** Of a workload: the credential of each integration, by its name. */
  integrations: Record<string, string>;
  /** Of a workload's project: the value of each variable. */
  projectEnv: Record<string, string>;
}

function appOf(app: Json): MockApp {
  const named = (list: Json[] | undefined, name: string, value: string) => Object.fromEntries((list ?? []).map((one) => [one[name], one[value]]));
  return {
    kind: app.kind,
    clientId: app.client_id,
    clientSecret: app.client_secret ?? '',
    keyId: app.key_id ?? '',
    privateKey: app.private_key ?? '',
    redirectUris: app.redirect_uris,
    integrations: named(app.integrations, 'name', 'credential'),
    projectEnv: named(app.variables, 'key', 'value'),
  };
}

/** A device that waits for a person. */
export interface PendingDevice {
  userCode: string;
  clientId: string;
  workspaceId: string | null;
  expiresInMs: number;
  polled: boolean;
}

/** What stays in a world until it is removed: at the end of an `await using`, or with the world. */
abstract class Placed {
  constructor(
    protected readonly control: Control,
    protected readonly path: string,
  ) {}

  protected async removeIt(): Promise<void> {
    // A reset has removed it, or another one of its name or the end of the world.
    await known(this.control, 'DELETE', this.path);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.removeIt();
  }
}

/** A fault in a world. */
export class FaultHandle extends Placed {
  /** @internal */
  constructor(
    control: Control,
    readonly id: string,
  ) {
    super(control, `/faults/${id}`);
  }

  /** Number of requests that the fault's selector matched, those that passed included. 0 if it was removed. */
  matched(): Promise<number> {
    return this.count('matched');
  }

  /** Number of requests on which the fault acted. 0 if it was removed. */
  fired(): Promise<number> {
    return this.count('fired');
  }

  /** Removes the fault, and releases the requests that it holds or delays. */
  remove(): Promise<void> {
    return this.removeIt();
  }

  private async count(what: string): Promise<number> {
    const { faults } = await this.control.send('GET', '/faults');
    return faults.find((one: Json) => one.id === this.id)?.[what] ?? 0;
  }
}

/** A script in a world. */
export class ScriptHandle extends Placed {
  /** @internal */
  constructor(
    control: Control,
    readonly id: string,
  ) {
    super(control, `/script/${id}`);
  }

  /** Ends the script. */
  stop(): Promise<void> {
    return this.removeIt();
  }
}

/** A gate, which holds requests to the data plane. */
export class Gate extends Placed {
  /** @internal */
  constructor(
    control: Control,
    readonly name: string,
  ) {
    super(control, `/gates/${encodeURIComponent(name)}`);
  }

  /** Waits until at least `n` requests have arrived at this gate since it was set. Returns false if that did not happen in time, which is real
   * time and 10 s by default. */
  async arrived(n: number, { timeout = DEFAULT_WAIT }: { timeout?: Span } = {}): Promise<boolean> {
    for (const waitMs of waits(timeout)) {
      const { reached } = await this.control.send('GET', this.path, undefined, { arrived: n, timeout_ms: waitMs });
      if (reached) return true;
    }
    return false;
  }

  /** Number of requests that wait at the gate now. */
  async waiting(): Promise<number> {
    return (await this.control.send('GET', this.path, undefined, { timeout_ms: 0 })).waiting;
  }

  /** Releases the `n` requests that have waited longest, or all that wait. */
  async release(n?: number): Promise<void> {
    await this.control.send('POST', `${this.path}/release`, { n });
  }

  /** Releases all requests and removes the gate. */
  open(): Promise<void> {
    return this.removeIt();
  }
}

/** A world of a mock: apps, users, their codes and tokens, a clock, a journal, gates and faults. Each call is a request to the control plane;
 * `control` sends any other one. */
export class MockWorld {
  /** The world's clock. */
  readonly clock: Clock;
  /** The URL of the world's own port, without a trailing slash. Null if the world has none. */
  portURL: string | null = null;
  private readonly taken = new Set<number>();

  /** @internal */
  constructor(
    protected readonly plane: Control,
    /** The name, and null for the first world of a mock. */
    readonly name: string | null,
  ) {
    this.clock = new Clock(plane);
  }

  /** What a client takes as its base: scheme, host, port and path, without a trailing slash. */
  get baseURL(): string {
    return this.plane.baseURL;
  }

  /** Sends a request to the world's control plane, such as `control('GET', '/tokens')`, and returns its answer as JSON. */
  control(method: string, path: string, body?: unknown): Promise<any> {
    return this.plane.send(method, path, body);
  }

  /** Opens a port of the world's own, for a client that keeps only host and port of a base URL. 0 is a free port, or the one that the world has.
   * Returns its URL. */
  async openPort(port = 0): Promise<string> {
    const { port_url } = await this.plane.send('PUT', '/port', { port });
    this.portURL = port_url;
    return port_url;
  }

  /** Closes the port of the world. */
  async closePort(): Promise<void> {
    await this.plane.send('DELETE', '/port');
    this.portURL = null;
  }

  /** The apps and tokens, as `GET /_mock/v1/info` shows them. */
  info(): Promise<any> {
    return this.plane.send('GET', '/info');
  }

  /** The environment of a client, by the names that Coze's samples read: `COZE_API_BASE`, `COZE_WEB_OAUTH_CLIENT_ID` … */
  async variables(): Promise<Record<string, string>> {
    return (await this.plane.send('GET', '/variables')).variables;
  }

  /** The apps, in the order of the configuration. */
  async apps(): Promise<MockApp[]> {
    return (await this.info()).apps.map(appOf);
  }

  /** The first app of a kind. A `MockError` if there is none. */
  async app(kind: AppKind): Promise<MockApp> {
    const apps = await this.apps();
    const found = apps.find((app) => app.kind === kind);
    if (found) return found;
    const kinds = [...new Set(apps.map((app) => app.kind))].sort().join(', ');
    throw new MockError(`the configuration has no app of the kind ${kind}; it has ${kinds}`);
  }

  /** The first token of the console of a kind. A `MockError` if there is none. */
  async consoleToken(kind: TokenKind): Promise<string> {
    const found = (await this.info()).tokens.find((token: Json) => token.kind === kind);
    if (!found) throw new MockError(`the configuration has no token of the kind ${kind}`);
    return found.value;
  }

  /** The requests to the data plane that the journal holds, oldest first: those that match, and of them the last `limit`. */
  async requests(requests?: Requests, { limit }: { limit?: number } = {}): Promise<JournalEntry[]> {
    const found = await this.plane.send('GET', '/requests', undefined, { ...requests?.toJSON(), limit });
    return found.requests.map((entry: Json) => new JournalEntry(entry));
  }

  /** Waits for a request that matches and was not taken before, and takes the oldest. Null if there was none in time, which is real time and
   * 10 s by default. */
  async takeRequest(requests?: Requests, { timeout = DEFAULT_WAIT }: { timeout?: Span } = {}): Promise<JournalEntry | null> {
    const query: Query = { ...requests?.toJSON(), after: 0 };
    for (const waitMs of waits(timeout)) {
      for (;;) {
        const { request } = await this.plane.send('GET', '/requests/next', undefined, { ...query, timeout_ms: waitMs });
        if (!request) break;
        const entry = new JournalEntry(request);
        if (!this.taken.has(entry.seq)) {
          this.taken.add(entry.seq);
          return entry;
        }
        query.after = entry.seq;
      }
    }
    return null;
  }

  /** Compares the journal with expectations. `VerifyError`, an `AssertionError`, says for each unmet one how many requests matched, and which
   * other request was nearest. */
  async verify(...expected: Expect[]): Promise<void> {
    const { ok, failures } = await this.plane.send('POST', '/verify', { expect: expected });
    if (!ok) throw new VerifyError(failures.map(({ index, why }: Json) => ({ index, why })));
  }

  /** The secrets that requests had where they do not belong, oldest first; at most the last 1,000. */
  async leaks(): Promise<Leak[]> {
    return (await this.plane.send('GET', '/leaks')).leaks.map(leakOf);
  }

  /** Finds the secrets of this world in `text`, such as the log of a client. */
  async leaksIn(text: string): Promise<Leak[]> {
    return (await this.plane.send('POST', '/leaks', { text })).leaks.map(leakOf);
  }

  /** Explains the answer with this `X-Tt-Logid`, in whichever world of the mock it was given. Null if no journal has it. */
  async explain(logid: string): Promise<Explanation | null> {
    try {
      return new Explanation(await this.plane.send('GET', `/explain/${encodeURIComponent(logid)}`));
    } catch (error) {
      if (isUnknown(error)) return null;
      throw error;
    }
  }

  /** Decides as a user on the consent page of an authorize URL, and returns the redirect that the browser would follow. `AuthorizeError` if the
   * mock refuses the authorize request. */
  async authorize(url: string | URL, { approve = true, user }: { approve?: boolean; user?: string } = {}): Promise<URL> {
    const decision = { url, action: approve ? 'approve' : 'deny', user };
    const { status, answer } = await this.plane.answer('POST', '/authorize', decision);
    if (status === 200) return new URL(answer.redirect);
    if (answer?.rule) throw new AuthorizeError(status, answer.error, new Explanation(answer));
    throw new ControlError(`POST /authorize: the mock answered ${status}: ${refusal(answer)}`, status);
  }

  /** The devices that wait for a person. */
  async devices(): Promise<PendingDevice[]> {
    const { pending } = await this.plane.send('GET', '/device');
    return pending.map((device: Json) => ({
      userCode: device.user_code,
      clientId: device.client_id,
      workspaceId: device.workspace_id,
      expiresInMs: device.expires_in_ms,
      polled: device.polled,
    }));
  }

  /** Decides about a device code, as a user on the device page. `ControlError` if no device waits with this user code. */
  async decideDevice(userCode: string, action: DeviceAction = 'approve'): Promise<void> {
    await this.plane.send('POST', `/device/${encodeURIComponent(userCode)}`, { action });
  }

  /** Revokes an access token, refresh token, PAT or SAT. Returns false if the token is unknown. */
  revoke(token: string): Promise<boolean> {
    return known(this.plane, 'POST', '/tokens/revoke', { token });
  }

  /** Takes the permission of a token: its calls get 4101. Returns false if the token is unknown. */
  restrict(token: string): Promise<boolean> {
    return known(this.plane, 'POST', '/tokens/restrict', { token });
  }

  /** Adds a public key in PEM to a JWT app, in place of an earlier one of this `kid`. */
  async addKey(clientId: string, kid: string, publicPem: string): Promise<void> {
    await this.plane.send('POST', `/apps/${encodeURIComponent(clientId)}/keys`, { kid, public_pem: publicPem });
  }

  /** Removes a key of a JWT app. Its assertions are refused from then on. */
  async removeKey(clientId: string, kid: string): Promise<void> {
    await this.plane.send('DELETE', `/apps/${encodeURIComponent(clientId)}/keys/${encodeURIComponent(kid)}`);
  }

  /** Switches an app on or off. */
  async setEnabled(clientId: string, enabled: boolean): Promise<void> {
    await this.plane.send('POST', `/apps/${encodeURIComponent(clientId)}`, { enabled });
  }

  /** Adds an API call of your own, in place of an earlier one of the same method and path. Returns its id. */
  async addApi(api: Api): Promise<string> {
    return (await this.plane.send('POST', '/api', api)).id;
  }

  /** Removes an API call of your own. Returns false if none has this id. */
  removeApi(id: string): Promise<boolean> {
    return known(this.plane, 'DELETE', `/api/${encodeURIComponent(id)}`);
  }

  /** Holds the requests that `on` selects, until the gate is opened. An earlier gate of this name is opened. */
  async gate(name: string, on: On, at: At = 'request'): Promise<Gate> {
    await this.plane.send('POST', `/gates/${encodeURIComponent(name)}`, { on, at });
    return new Gate(this.plane, name);
  }

  /** Applies a fault to the requests that `on` selects, until it is removed. If several faults match a request, only the first that acts
   * applies. */
  async fault(on: On, fault: Fault): Promise<FaultHandle> {
    return new FaultHandle(this.plane, (await this.plane.send('POST', '/faults', { on, ...fault.toJSON() })).id);
  }

  /** Answers the next requests that `on` selects by `steps`, in order. A script acts before faults; `after` says what happens after the last
   * step. */
  async script(on: On, steps: Iterable<ScriptStep>, after: ScriptEnd = 'pass'): Promise<ScriptHandle> {
    return new ScriptHandle(this.plane, (await this.plane.send('POST', '/script', { on, then: [...steps], after })).id);
  }

  /** Deletes all codes, tokens and requests, restarts the ids, opens all gates and removes all faults and scripts. The clock keeps its time. */
  async reset(): Promise<void> {
    await this.plane.send('POST', '/reset');
    this.taken.clear();
  }

  /** The last 50 requests, one a line, and why the last 5 of the refused ones were refused: what a failed test shows. */
  async report(): Promise<string> {
    const entries = await this.requests(undefined, { limit: REPORTED });
    const last = entries.at(-1);
    if (!last) return `no requests to ${this.baseURL}`;
    const lines = [`the last ${entries.length} of ${last.seq} requests to ${this.baseURL}:`];
    const refused = entries.filter((entry) => entry.outcome.rule).slice(-EXPLAINED);
    for (const entry of entries) {
      lines.push(`  ${entry}`);
      const why = refused.includes(entry) && (await this.explain(entry.outcome.logid));
      if (why) lines.push(`      rule: ${why}`);
    }
    return lines.join('\n');
  }
}

/** Returns false if the mock does not know what is changed. */
export async function known(control: Control, method: string, path: string, body?: unknown): Promise<boolean> {
  try {
    await control.send(method, path, body);
    return true;
  } catch (error) {
    if (isUnknown(error)) return false;
    throw error;
  }
}

function isUnknown(error: unknown): boolean {
  return error instanceof ControlError && error.status === 404;
}

/** Milliseconds of the waits that make up this time, the first one at once. */
function* waits(timeout: Span): Generator<number> {
  const end = performance.now() + milliseconds(timeout);
  do {
    yield Math.round(Math.min(Math.max(end - performance.now(), 0), LONGEST_WAIT_MS));
  } while (end - performance.now() > 1);
}
