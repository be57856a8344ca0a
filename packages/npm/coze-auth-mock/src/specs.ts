/** What a test asks of a mock: which requests, what goes wrong with them, and what the journal has to have. */
import type { Json } from './control.js';

export type AppKind = 'web' | 'pkce' | 'device' | 'jwt' | 'workload';
export type At = 'request' | 'answer';
export type Consent = 'page' | 'approve' | 'deny';
export type DeviceAction = 'approve' | 'deny' | 'expire';
export type FaultKind =
  | 'status'
  | 'delay'
  | 'hold'
  | 'reset'
  | 'close_before_body'
  | 'truncate'
  | 'garbage'
  | 'slow_drip'
  | 'redirect'
  | 'wrong_content_type'
  | 'empty_200'
  | 'dup_header'
  | 'member'
  | 'consent_policy'
  | 'callback_307'
  | 'callback_twice';
export type MemberChange = 'absent' | 'null' | 'string' | 'float' | 'milliseconds' | 'too_large' | 'other_type';
export type ScriptEnd = 'pass' | 'repeat' | 'last';
export type TokenKind = 'pat' | 'sat';

/** A length of time: milliseconds as of `setTimeout`, or the sum of what is named, as in `{ minutes: 15 }`. */
export type Span = number | { days?: number; hours?: number; minutes?: number; seconds?: number; milliseconds?: number };

const UNITS = { days: 86_400_000, hours: 3_600_000, minutes: 60_000, seconds: 1000, milliseconds: 1 };

/** Milliseconds. A `RangeError` for what is not a length of time. */
export function milliseconds(span: Span): number {
  let sum = 0;
  if (typeof span === 'number') {
    sum = span;
  } else {
    for (const [unit, number] of Object.entries(span)) {
      if (!(unit in UNITS)) throw new RangeError(`a time has ${Object.keys(UNITS).join(', ')}, and not ${unit}`);
      sum += UNITS[unit as keyof typeof UNITS] * number;
    }
  }
  if (!Number.isFinite(sum)) throw new RangeError(`a time is a number, and not ${sum}`);
  if (sum < 0) throw new RangeError('a time is not negative');
  return Math.round(sum);
}

type Members = Readonly<Record<string, unknown>>;

/** Members of a JSON body. It does not change: each method gives another one. */
abstract class Spec {
  /** Use the functions of the class, such as `On.token()`. */
  protected constructor(protected readonly members: Members) {}

  /** As the control plane takes it. */
  toJSON(): Json {
    return { ...this.members };
  }
}

/** A selector of requests to the data plane: what a gate, a fault or a script acts on. */
export class On extends Spec {
  // So that a type checker tells the kinds of specs apart.
  declare private readonly kind: 'On';

  /** All requests to the token endpoint. */
  static token(): On {
    return new On({ endpoint: 'token' });
  }

  /** The requests to a token endpoint of one grant type: `authorization_code`, `refresh_token`, `device_code` or `jwt_bearer`, or of a
   * workload `client_credentials` or `token_exchange`. */
  static grant(name: string): On {
    const ofWorkload = ['client_credentials', 'token_exchange'].includes(name);
    return new On({ endpoint: ofWorkload ? 'workload_token' : 'token', grant: name });
  }

  /** The requests to one endpoint: `authorize`, `token`, `device_code`, `workload_token`, `integration`, `project_env`, `users_me`,
   * `workspaces`, `api` or `unknown`. */
  static endpoint(name: string): On {
    return new On({ endpoint: name });
  }

  /** Restricts the selection to requests that claim this client id (for the JWT grant: this issuer). */
  client(clientId: string): On {
    return new On({ ...this.members, client_id: clientId });
  }

  /** Restricts the selection to requests of this path, character for character, without their query. */
  path(path: string): On {
    return new On({ ...this.members, path });
  }
}

/** A filter over journal entries. It is made from an `On` or by `any`, and each method adds a condition. */
export class RequestFilter extends Spec {
  declare private readonly kind: 'RequestFilter';

  /** Matches every request. */
  static any(): RequestFilter {
    return new RequestFilter({});
  }

  /** Matches the requests that `on` selects. */
  static on(on: On): RequestFilter {
    return new RequestFilter(on.toJSON());
  }

  /** Matches requests of this client id (for the JWT grant: of this issuer). */
  clientId(clientId: string): RequestFilter {
    return this.with('client_id', clientId);
  }

  /** Matches requests of this path, without their query. */
  path(path: string): RequestFilter {
    return this.with('path', path);
  }

  /** Matches requests that were answered with this HTTP status; 0 if nothing was sent. */
  status(status: number): RequestFilter {
    return this.with('status', status);
  }

  /** Matches requests that were answered with this error code. */
  error(error: string): RequestFilter {
    return this.with('error', error);
  }

  /** Matches requests that this rule refused. */
  rule(rule: string): RequestFilter {
    return this.with('rule', rule);
  }

  /** Matches requests on which a fault of this kind acted. */
  fault(kind: FaultKind): RequestFilter {
    return this.with('fault', kind);
  }

  private with(name: string, value: unknown): RequestFilter {
    return new RequestFilter({ ...this.members, [name]: value });
  }
}

/** Which requests of a journal. */
export type Requests = On | RequestFilter;

/** A fault of a request or its answer, and how often it acts. A fault that replaces the answer acts at the request, before the mock has
 * acted. A fault that changes the answer acts at the answer, after the mock has acted. `at` overrides this. */
export class Fault extends Spec {
  declare private readonly kind: 'Fault';

  /** Answers with this status, as a gateway in front of Coze would. */
  static status(status: number): Fault {
    return new Fault({ kind: 'status', status });
  }

  /** Delays the answer by real time, at most 60 s. */
  static delay(by: Span): Fault {
    return new Fault({ kind: 'delay', ms: milliseconds(by) });
  }

  /** Holds the answer until the fault is removed or the client disconnects. */
  static hold(): Fault {
    return new Fault({ kind: 'hold' });
  }

  /** Resets the connection (RST) instead of an answer. */
  static reset(): Fault {
    return new Fault({ kind: 'reset' });
  }

  /** Sends the head with its `Content-Length`, then closes the connection (FIN). */
  static closeBeforeBody(): Fault {
    return new Fault({ kind: 'close_before_body' });
  }

  /** Closes the connection (FIN) in the middle of the body. */
  static truncate(): Fault {
    return new Fault({ kind: 'truncate' });
  }

  /** Closes the connection (FIN) after this many bytes of the body, but always before its last byte. */
  static truncateAt(byte: number): Fault {
    return new Fault({ kind: 'truncate', at_byte: byte });
  }

  /** Sends bytes that are not HTTP, then closes the connection (FIN). */
  static garbage(): Fault {
    return new Fault({ kind: 'garbage' });
  }

  /** Sends the answer byte by byte with this pause between the bytes; after 60 s it sends the rest at once. */
  static slowDrip(pause: Span): Fault {
    return new Fault({ kind: 'slow_drip', ms: milliseconds(pause) });
  }

  /** Answers with a redirect, which Coze does not send. */
  static redirect(status: number, location: string): Fault {
    return new Fault({ kind: 'redirect', status, location });
  }

  /** Sends the answer as `text/html`, or with the `Content-Type` that `header` sets. */
  static wrongContentType(): Fault {
    return new Fault({ kind: 'wrong_content_type' });
  }

  /** Answers 200 without `Content-Type` and body. */
  static empty200(): Fault {
    return new Fault({ kind: 'empty_200' });
  }

  /** Sends the answer with its `Content-Type` twice, or with a second value for each header that `header` sets. */
  static dupHeader(): Fault {
    return new Fault({ kind: 'dup_header' });
  }

  /** Changes one member of a good answer: a name such as `expires_in`, or names with stops between them. */
  static member(member: string, change: MemberChange): Fault {
    return new Fault({ kind: 'member', member, to: change });
  }

  /** Gives one member of a good answer this value, which has to be JSON. An answer without the member gets it. */
  static memberValue(member: string, value: unknown): Fault {
    return new Fault({ kind: 'member', member, value });
  }

  /** Serves the consent page with `form-action 'self'`: a browser then stops the redirect to the app. */
  static consentPolicy(): Fault {
    return new Fault({ kind: 'consent_policy' });
  }

  /** Redirects to the app with 307 instead of 302, so that a browser sends the form of the consent page to the app. */
  static callback307(): Fault {
    return new Fault({ kind: 'callback_307' });
  }

  /** Makes a browser request the callback twice, as a prefetch or a second click does. */
  static callbackTwice(): Fault {
    return new Fault({ kind: 'callback_twice' });
  }

  /** Sets the body, instead of the fault's own or that of the answer. */
  body(body: string): Fault {
    return this.with('body', body);
  }

  /** Sets a header of the answer. */
  header(name: string, value: string): Fault {
    return this.with('header', { ...(this.members.header as object), [name]: value });
  }

  /** Sets when the fault acts: before the mock has acted (`request`), or after it has (`answer`). */
  at(at: At): Fault {
    return this.with('at', at);
  }

  /** Sets the maximum number of requests on which the fault acts; by default it acts on all. */
  times(times: number): Fault {
    return this.with('times', times);
  }

  /** Sets the number of requests that pass before the fault acts. */
  skip(skip: number): Fault {
    return this.with('skip', skip);
  }

  /** Sets the share of the requests on which the fault acts, 0 to 1. The seed decides, so the same run repeats. */
  probability(probability: number): Fault {
    return this.with('probability', probability);
  }

  /** As the control plane takes it: the fault itself, and beside it when and how often it acts. */
  override toJSON(): Json {
    const { at, times, skip, probability, ...fault } = this.members;
    return { fault, at, times, skip, probability };
  }

  private with(name: string, value: unknown): Fault {
    return new Fault({ ...this.members, [name]: value });
  }
}

/** A step of a script: the answer to one request. */
export class ScriptStep extends Spec {
  declare private readonly kind: 'ScriptStep';

  /** Answers as without the script; a fault may still act on the request. */
  static pass(): ScriptStep {
    return new ScriptStep({ pass: true });
  }

  /** Answers with the error `code` in Coze's shape, without acting: a code such as `invalid_grant` as an OAuth error, one that consists of
   * digits as a resource error. Without `status` it is that of the first rule with this code, else 400. */
  static error(code: string, status?: number): ScriptStep {
    return new ScriptStep({ error: code, status });
  }

  /** Applies this fault, whatever its `times`, `skip` and `probability` are. */
  static fault(of: Fault): ScriptStep {
    const { fault, at } = of.toJSON();
    return new ScriptStep({ fault, at });
  }
}

/** One expectation about the requests of a world. */
export class Expect extends Spec {
  declare private readonly kind: 'Expect';

  /** Expects exactly `n` matching requests. */
  static exactly(n: number, requests: Requests): Expect {
    return new Expect({ ...requests.toJSON(), count: { eq: n } });
  }

  /** Expects at least `n` matching requests. */
  static atLeast(n: number, requests: Requests): Expect {
    return new Expect({ ...requests.toJSON(), count: { at_least: n } });
  }

  /** Expects at most `n` matching requests. */
  static atMost(n: number, requests: Requests): Expect {
    return new Expect({ ...requests.toJSON(), count: { at_most: n } });
  }

  /** Expects matching requests in this order, with any others in between. */
  static order(requests: Iterable<Requests>): Expect {
    return new Expect({ order: [...requests] });
  }

  /** Expects two or more matching requests, each at least `least` after the one before, by the mock's clock. */
  static gaps(least: Span, requests: Requests): Expect {
    return new Expect({ gaps_ms: { ...requests.toJSON(), min: milliseconds(least) } });
  }
}

/** An API call of your own: a method, a path, and the answer to a request with a good access token. A segment `{name}` of the path stands for
 * any one segment. */
export class Api extends Spec {
  declare private readonly kind: 'Api';

  /** Answers with this JSON. */
  static json(method: string, path: string, json: unknown): Api {
    return new Api({ method, path, json });
  }

  /** Answers with this text, as `application/json` if it is a JSON object or array, else as `text/plain`. */
  static text(method: string, path: string, text: string): Api {
    return new Api({ method, path, text });
  }

  /** Answers with a stream of server-sent events, each with its name (empty for one without) and its data: a text, or what is sent as JSON. */
  static events(method: string, path: string, events: Iterable<readonly [name: string, data: unknown]>): Api {
    return new Api({ method, path, events: Array.from(events, ([event, data]) => (event ? { event, data } : { data })) });
  }

  /** Sets the status of the answer, 200 unless it is set. */
  status(status: number): Api {
    return new Api({ ...this.members, status });
  }

  /** Sets a header of the answer. */
  header(name: string, value: string): Api {
    return new Api({ ...this.members, header: { ...(this.members.header as object), [name]: value } });
  }

  /** Sets the pause between two events, in real time, at most 60 s. */
  pause(pause: Span): Api {
    return new Api({ ...this.members, pause_ms: milliseconds(pause) });
  }
}
