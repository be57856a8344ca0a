/** The control plane of a mock, `/_mock/v1`, over HTTP. */
import * as http from 'node:http';
import * as https from 'node:https';
import { ControlError } from './errors.js';

/** What JSON gives. */
export type Json = any;
export type Query = Record<string, string | number | undefined>;

// The longest wait of the mock is 60 s.
const ANSWER_MS = 90_000;

/** Sends requests over connections that it keeps. It knows no proxy. */
export class Control {
  private constructor(
    readonly baseURL: string,
    readonly caPem: string | null,
    private readonly agent: http.Agent,
  ) {}

  /** Of a mock that this process has started. Nothing vouches for the CA of one with https but the address. */
  static async of(baseURL: string): Promise<Control> {
    if (!baseURL.startsWith('https:')) return new Control(baseURL, null, new http.Agent({ keepAlive: true }));
    const { text: ca } = await request(`${baseURL}/_mock/v1/ca.pem`, 'GET', '', new https.Agent({ rejectUnauthorized: false }));
    return new Control(baseURL, ca, new https.Agent({ keepAlive: true, ca }));
  }

  /** The same of a world of the mock. */
  at(baseURL: string): Control {
    return new Control(baseURL, this.caPem, this.agent);
  }

  /** Closes the connections. */
  close(): void {
    this.agent.destroy();
  }

  /** The answer as JSON. Members of the query that are undefined are left out. */
  async send(method: string, path: string, body?: unknown, query: Query = {}): Promise<Json> {
    const { status, answer } = await this.answer(method, path, body, query);
    if (status === 200) return answer;
    throw new ControlError(`${method} ${path}: the mock answered ${status}: ${refusal(answer)}`, status);
  }

  /** The status and the answer, of a refusal as well. */
  async answer(method: string, path: string, body?: unknown, query: Query = {}): Promise<{ status: number; answer: Json }> {
    const given = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)] as [string, string]]));
    const target = path + (given.length ? `?${new URLSearchParams(given)}` : '');
    let told;
    try {
      told = await request(`${this.baseURL}/_mock/v1${target}`, method, body === undefined ? '' : JSON.stringify(body), this.agent);
    } catch (cause) {
      const { message } = cause as Error;
      throw new ControlError(`${method} ${path}: the mock does not answer at ${this.baseURL}, so it has ended: ${message}`, null, { cause });
    }
    try {
      return { status: told.status, answer: JSON.parse(told.text) };
    } catch {
      return { status: told.status, answer: told.text };
    }
  }
}

function request(url: string, method: string, body: string, agent: http.Agent): Promise<{ status: number; text: string }> {
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const { request: send } = url.startsWith('https:') ? https : http;
    const sent = send(url, { method, headers, agent, timeout: ANSWER_MS }, (reply) => {
      const chunks: Buffer[] = [];
      reply.on('data', (chunk: Buffer) => chunks.push(chunk));
      reply.on('error', reject);
      reply.on('end', () => resolve({ status: reply.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
    });
    sent.on('timeout', () => sent.destroy(new Error(`no answer within ${ANSWER_MS / 1000} s`)));
    sent.on('error', (error: NodeJS.ErrnoException) => {
      // The mock may close a kept connection while the request is on its way.
      const again = sent.reusedSocket && ['ECONNRESET', 'EPIPE'].includes(error.code ?? '');
      if (again) resolve(request(url, method, body, agent));
      else reject(error);
    });
    sent.end(body);
  });
}

/** The text of a refusal. */
export function refusal(answer: Json): string {
  return typeof answer?.error === 'string' ? answer.error : String(answer);
}
