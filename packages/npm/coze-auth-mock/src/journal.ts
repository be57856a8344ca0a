/** The requests that a world has received, as its journal keeps them. */
import type { Json } from './control.js';

/** A secret where it does not belong. Its text is nowhere. */
export interface Leak {
  /** Such as `refresh_token` or `client_secret`. */
  kind: string;
  /** Such as `query` or `header`. */
  place: string;
  /** Of the header or the member. */
  name: string | null;
  /** Of the secret. */
  fingerprint: string | null;
  /** Of the request; empty for a text. */
  logid: string;
}

/** As the control plane tells it. */
export const leakOf = ({ kind, place, name = null, fingerprint = null, logid }: Json): Leak => ({ kind, place, name, fingerprint, logid });

/** How a request was answered. */
export interface Outcome {
  /** The HTTP status that was sent; 0 if a fault sent none. */
  status: number;
  /** The error code in the body of a refusal. */
  error: string | null;
  /** The rule that refused the request. */
  rule: string | null;
  /** The rules that would have refused the request if they were on. */
  relaxed: string[];
  /** The `X-Tt-Logid` of the answer. */
  logid: string;
}

/** One request to the data plane. Codes, tokens, secrets, verifiers, assertions and states are masked. */
export class JournalEntry {
  /** Number of the request, counted from 1; it starts again at a reset. */
  readonly seq: number;
  /** Unix time by the mock's clock, in milliseconds. */
  readonly atMs: number;
  /** `authorize`, `token`, `device_code`, `users_me`, `workspaces`, `api`, `unknown` and those of a workload. */
  readonly endpoint: string;
  readonly method: string;
  /** Path and query, redacted. */
  readonly path: string;
  /** Redacted; the names are in lower case. */
  readonly headers: Record<string, string>;
  /** The members of a JSON body, redacted. */
  readonly json: Record<string, any> | null;
  /** The assertion of a JWT grant, decoded and without its signature. */
  readonly jwt: { header: Record<string, any>; payload: Record<string, any> } | null;
  /** The client id (for the JWT grant: the issuer). */
  readonly client: string | null;
  /** `authorization_code`, `refresh_token`, `device_code`, `jwt_bearer`, `client_credentials` or `token_exchange`. */
  readonly grant: string | null;
  /** The fingerprint of the presented token or code. */
  readonly presented: string | null;
  /** The fingerprints of the tokens of the answer. The JWT grant issues no refresh token. */
  readonly issued: { access: string; refresh: string | null } | null;
  /** The secrets that the request had where they do not belong. */
  readonly leaks: Leak[];
  readonly outcome: Outcome;
  /** The kind of the fault that acted on the request. */
  readonly fault: string | null;
  /** The id of the script that acted on the request. */
  readonly script: string | null;
  /** The member that a fault of the kind `member` has changed, and how. */
  readonly change: string | null;
  /** Time that the answer took, in microseconds of the machine's clock. */
  readonly elapsedUs: number;

  constructor(entry: Json) {
    const { outcome } = entry;
    this.seq = entry.seq;
    this.atMs = entry.at_ms;
    this.endpoint = entry.endpoint;
    this.method = entry.method;
    this.path = entry.path;
    this.headers = entry.headers;
    this.json = entry.json;
    this.jwt = entry.jwt;
    this.client = entry.client;
    this.grant = entry.grant;
    this.presented = entry.presented;
    this.issued = entry.issued;
    this.leaks = (entry.leaks ?? []).map(leakOf);
    this.outcome = {
      status: outcome.status,
      error: outcome.error ?? null,
      rule: outcome.rule ?? null,
      relaxed: outcome.relaxed ?? [],
      logid: outcome.logid,
    };
    this.fault = entry.fault ?? null;
    this.script = entry.script ?? null;
    this.change = entry.change ?? null;
    this.elapsedUs = entry.elapsed_us;
  }

  /** One line, as a mock in a Rust test prints it when its test fails. */
  toString(): string {
    const { status, error, rule, logid } = this.outcome;
    const words = [this.seq, this.method, this.endpoint, this.grant, status, error, `rule=${rule ?? '-'}`, `logid=${logid}`];
    words.push(this.fault && `fault=${this.fault}`, ...this.leaks.map((leak) => `leak=${leak.kind}@${leak.place}`));
    return words.filter((word) => word !== null).join(' ');
  }
}

/** The explanation of an answer. */
export class Explanation {
  readonly logid: string;
  /** The name of the world; null for the first one. */
  readonly world: string | null;
  /** The rule that refused the request; null for a success. */
  readonly rule: string | null;
  /** The text of the rule, or what succeeded. */
  readonly text: string;
  /** How sure we are that Coze has this rule: `documented`, `sdk`, `report` or `guess`. */
  readonly evidence: string | null;
  /** The source of that evidence. */
  readonly reference: string | null;
  /** What the rule requires. */
  readonly expected: string | null;
  /** What the request had instead, without any secret. */
  readonly actual: string | null;
  /** How to fix the client. */
  readonly fix: string | null;
  /** The rules that would have refused the request if they were on. */
  readonly relaxed: string[];

  constructor(told: Json) {
    this.logid = told.logid;
    this.world = told.world ?? null;
    this.rule = told.rule;
    this.text = told.text;
    this.evidence = told.evidence;
    this.reference = told.reference;
    this.expected = told.expected;
    this.actual = told.actual;
    this.fix = told.fix;
    this.relaxed = told.relaxed;
  }

  toString(): string {
    const compared = this.expected && this.actual && `Expected ${this.expected}; actual ${this.actual}.`;
    return [this.text, compared, this.fix].filter(Boolean).join(' ');
  }
}
