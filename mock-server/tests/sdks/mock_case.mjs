// A case against a world of the mock that nobody else uses: act, and account for every journal entry.
import http from 'node:http';
import { isDeepStrictEqual, inspect } from 'node:util';

export const CALLBACK = 'https://app.example/callback'; // allowed by the ready-made web and PKCE apps

/** An empty list of cases, and the function that puts a named case into it. */
export function caseList() {
  const cases = [];
  return [cases, (name, body) => cases.push([name, body])];
}

export class Mismatch extends Error {}

const show = (value) => inspect(value, { breakLength: Infinity, depth: 6 });

export function expect(what, expected, came) {
  if (!isDeepStrictEqual(expected, came)) {
    throw new Mismatch(`${what}: expected ${show(expected)}, came ${show(came)}`);
  }
}

// node:http: no proxy, no redirects, and no timers of the kind that `SdkTime` takes over.
function send(method, url, body) {
  const data = body === undefined ? undefined : JSON.stringify(body);
  const headers =
    data === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(data) };
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers }, (reply) => {
      const chunks = [];
      reply.on('data', (chunk) => chunks.push(chunk));
      reply.on('error', reject);
      reply.on('end', () =>
        resolve({ status: reply.statusCode, headers: reply.headers, text: Buffer.concat(chunks).toString() }),
      );
    });
    request.on('error', reject);
    request.end(data);
  });
}

async function control(base, method, path, body) {
  const reply = await send(method, `${base}/_mock/v1${path}`, body);
  if (reply.status >= 300) throw new Error(`control plane: ${method} ${path} answered ${reply.status}: ${reply.text}`);
  return reply.text.trim() ? JSON.parse(reply.text) : undefined;
}

/** Runs `body` in a new world of the mock. Its clock stands still until it is told to move. */
async function inWorld(info, name, config, body) {
  const made = await control(info.base_url, 'POST', '/worlds', { name, config });
  try {
    await body(new Mock(info, made));
  } finally {
    await control(info.base_url, 'DELETE', `/worlds/${name}`);
  }
}

/** A world of the mock as a case sees it: the control plane and the journal. */
export class Mock {
  constructor(info, made) {
    this.controls = made.base_url;
    // With a shadow in between, the SDK and the browser have bases of their own.
    this.base = made.port_url ?? made.base_url;
    this.browser = made.browser_url ?? this.base;
    this.host = new URL(this.base).host;
    // The first of its kind; the second device app is another one.
    this.apps = Object.fromEntries([...info.apps].reverse().map((app) => [app.kind, app]));
    this.apps.other_device = info.apps.filter((app) => app.kind === 'device')[1];
    this.tokens = Object.fromEntries(info.tokens.map((token) => [token.kind, token.value]));
    this.lookedAt = 0;
  }

  control(method, path, body) {
    return control(this.controls, method, path, body);
  }

  advance(seconds) {
    return this.control('POST', '/clock', { advance_ms: Math.round(seconds * 1000) });
  }

  /** Whole Unix seconds. */
  async now() {
    return Math.floor((await this.control('GET', '/clock')).now_ms / 1000);
  }

  /** What the person with the user code does on the device page. */
  user(userCode, action) {
    return this.control('POST', `/device/${userCode}`, { action });
  }

  revoke(token) {
    return this.control('POST', '/tokens/revoke', { token });
  }

  /** The browser leg; gives the query of the redirect back to the app. */
  async answerConsent(url, action) {
    const { redirect } = await this.control('POST', '/authorize', { url, action });
    expect('redirect target', CALLBACK, redirect.split('?')[0]);
    return Object.fromEntries(new URL(redirect).searchParams);
  }

  async approve(url, state) {
    const answer = await this.answerConsent(url, 'approve');
    expect('callback state', state, answer.state);
    await this.saw('authorize', { status: 302 });
    return answer.code;
  }

  openAsBrowser(url) {
    const { pathname, search } = new URL(url); // @coze/api has the www host here
    return send('GET', new URL(pathname + search, this.browser));
  }

  // --- the journal ---

  /** Entries that no case has looked at yet, oldest first. */
  async newEntries() {
    const { requests } = await this.control('GET', '/requests');
    const fresh = requests.filter((entry) => entry.seq > this.lookedAt).sort((a, b) => a.seq - b.seq);
    if (fresh.length) this.lookedAt = fresh.at(-1).seq;
    return fresh;
  }

  /** Exactly one new entry, and it is this one. Gives the entry back. */
  async saw(endpoint, wanted) {
    const fresh = await this.newEntries();
    expect('number of new journal entries', 1, fresh.length);
    this.check(fresh[0], endpoint, wanted);
    return fresh[0];
  }

  check(entry, endpoint, { status = 200, logid, error = null, rule = null, path, ...others } = {}) {
    const { outcome } = entry;
    expect(
      'journal [endpoint, status, error, rule]',
      [endpoint, status, error, rule],
      [entry.endpoint, outcome.status, outcome.error ?? null, outcome.rule ?? null],
    );
    if (logid !== undefined) expect("log id of the SDK against the journal's", outcome.logid, logid);
    if (path !== undefined) expect('journal path', path, entry.path.split('?')[0]);
    for (const [what, value] of Object.entries(others)) expect(`journal ${what}`, value, entry[what]);
  }

  /** The log id that the SDK shows leads a person to the rule. */
  async explained(logid, rule) {
    if (!logid) throw new Mismatch('the SDK shows no log id');
    expect('rule that /explain names', rule, (await this.control('GET', `/explain/${logid}`)).rule);
  }
}

/** Takes over the SDK's poll timers: a sleep moves the mock's clock instead of waiting. */
export async function onSdkTime(mock, poll, { duringSleep = () => {}, mockAdvances = (ms) => ms } = {}) {
  const sleeps = [];
  const real = globalThis.setTimeout;
  let fail;
  const failed = new Promise((_, reject) => {
    fail = reject;
  });
  globalThis.setTimeout = (wake, ms, ...rest) => {
    // The SDK polls every 5 to 30 s; any other timer is somebody else's.
    if (!(ms >= 5000 && ms <= 30000 && ms % 5000 === 0)) return real(wake, ms, ...rest);
    sleeps.push(ms / 1000);
    // The SDKs poll without an end of their own (protocol §11); a broken mock must not hang the run.
    if (sleeps.length > 100) throw new Mismatch('polling never ended: more than 100 sleeps');
    mock
      .advance(mockAdvances(ms) / 1000)
      .then(() => duringSleep(sleeps.length))
      .then(() => wake(...rest), fail);
  };
  try {
    return { token: await Promise.race([poll(), failed]), sleeps };
  } finally {
    globalThis.setTimeout = real;
  }
}

/** Runs `body` with the SDK's wall clock moved by so many seconds. */
export async function atOffset(seconds, body) {
  const real = Date.now;
  Date.now = () => real() + seconds * 1000;
  try {
    return await body();
  } finally {
    Date.now = real;
  }
}

/** Runs all cases in each of the worlds of `info`: one line per case, then the closing line. The number of failures. */
export async function judge(cases, info, title) {
  let failed = 0;
  for (const world of info.worlds) failed += await judgeWorld(cases, info, world, title);
  return failed;
}

async function judgeWorld(cases, info, world, title) {
  let failed = 0;
  for (const [number, [name, body]] of cases.entries()) {
    try {
      await inWorld(info, `${world.name}.${number}`, world.config, async (mock) => {
        await body(mock);
        expect('journal entries that the case does not account for', [], await mock.newEntries());
      });
      console.log(`ok   ${name}`);
    } catch (why) {
      // a case may fail in any way; the run goes on
      failed += 1;
      const said = why.rawError ? `${why} ${JSON.stringify(why.rawError)}` : why; // @coze/api leaves it out of its text
      const text = String(why instanceof Mismatch ? why.message : said).replace(/\s+/g, ' ');
      console.log(`FAIL ${name} — ${text}`);
    }
  }
  console.log(`${title}: ${cases.length - failed} passed, ${failed} failed`);
  return failed;
}
