// The released @coze/api behind `coze-auth-shim/1` (README.md).
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { Handles, Unsupported, serve, sleepsOf } from './shim_wire.mjs'; // before the SDK
import { sdk, version } from '../../released-sdks/coze_api_sdk.mjs';

sleepsOf((caller) => caller.includes('@coze/api/dist/'));

const about = {
  name: '@coze/api',
  version,
  language: 'javascript',
  runtime: `node ${process.versions.node}`,
  homepage: 'https://github.com/coze-dev/coze-js',
  issues: 'https://github.com/coze-dev/coze-js/issues',
  caps: [
    ...['web', 'pkce', 'device', 'jwt', 'refresh', 'api', 'api.workspaces', 'workspace', 'timeout', 'pkce.verifier', 'pkce.plain'],
    ...['device.poll_once', 'jwt.scope', 'jwt.session_name', 'jwt.account', 'cancel', 'clock', 'logs'],
    ...['client.parallel', 'documented', 'https', 'end'],
  ],
};

/** Only what was given: the SDK's defaults stand for the rest. */
const given = (settings) => Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));

/** The SDK hands on what the server sent, whatever its type. */
const text = (value) => (typeof value === 'string' ? value : null);
const integer = (value) => (Number.isSafeInteger(value) ? value : null);

const grant = (token) => ({
  access_token: text(token?.access_token),
  expires_at: integer(token?.expires_in),
  ...given({ refresh_token: text(token?.refresh_token) ?? undefined, token_type: text(token?.token_type) ?? undefined }),
});

/** One case: its handles, and a method for each operation. */
class Case {
  constructor({ base_url: base, log, ca_file: ca }) {
    this.base = base;
    if (ca) https.globalAgent.options.ca = readFileSync(ca);
    this.debug = log === 'debug' ? true : undefined;
    this.clients = new Handles();
    this.attempts = new Handles();
    this.devices = new Handles();
    this.apis = new Map();
  }

  options(signal, client) {
    return given({ signal, debug: this.debug, timeout: client?.timeout_ms });
  }

  'client.new'(args) {
    if (args.www_base_url) throw new Unsupported('the www base is always made from baseURL');
    if (args.kind === 'workload') throw new Unsupported('no workloads');
    if (args.ttl_s) throw new Unsupported('getJWTToken alone takes a ttl');
    const app = {
      baseURL: args.base_url ?? this.base,
      clientId: args.client_id,
      clientSecret: args.client_secret,
    };
    this.clients.set(args.as, { ...args, app: given(app) });
  }

  async 'client.parallel'({ call, each }, signal, { failed }) {
    const ended = await Promise.allSettled(each.map((args) => this[call](args, signal)));
    return { results: ended.map(({ value, reason }) => (value ? { ok: value } : failed(reason))) };
  }

  'config.load'() {
    throw new Unsupported('no reader of coze_oauth_config.json');
  }

  authorization({ client, redirect_uri, state, workspace_id, method }) {
    const { app } = this.clients.get(client);
    const { clientSecret, ...known } = app;
    return given({
      ...known,
      redirectUrl: redirect_uri,
      state,
      workspaceId: workspace_id,
      code_challenge_method: method,
    });
  }

  'web.authorize_url'(args) {
    this.attempts.set(args.as, { client: this.clients.get(args.client), redirectUrl: args.redirect_uri });
    return { url: sdk.getWebAuthenticationUrl(this.authorization(args)) };
  }

  async 'pkce.authorize_url'(args) {
    const { url, codeVerifier } = await sdk.getPKCEAuthenticationUrl(this.authorization(args));
    const client = this.clients.get(args.client);
    this.attempts.set(args.as, { client, redirectUrl: args.redirect_uri, codeVerifier });
    return { url, code_verifier: codeVerifier };
  }

  async exchange(call, { attempt, callback }, signal) {
    const { client, ...settings } = this.attempts.get(attempt);
    const code = new URL(callback).searchParams.get('code');
    if (!code) throw new Unsupported('reading the callback is left to the caller, and this one has no code');
    return grant(await call({ ...client.app, ...settings, code }, this.options(signal, client)));
  }

  'web.token'(args, signal) {
    return this.exchange(sdk.getWebOAuthToken, args, signal);
  }

  'pkce.token'(args, signal) {
    return this.exchange(sdk.getPKCEOAuthToken, args, signal);
  }

  async 'device.start'({ as, client: name, workspace_id: workspaceId }, signal) {
    const client = this.clients.get(name);
    const device = await sdk.getDeviceCode(given({ ...client.app, workspaceId }), this.options(signal, client));
    this.devices.set(as, { client, device });
    return {
      user_code: device.user_code === undefined ? null : String(device.user_code),
      verification_uri: text(device.verification_uri),
      interval_s: integer(device.interval),
      expires_in_s: integer(device.expires_in),
    };
  }

  async poll({ device: name }, signal, poll) {
    const { client, device } = this.devices.get(name);
    const settings = { ...client.app, deviceCode: device.device_code, poll };
    return grant(await sdk.getDeviceToken(settings, this.options(signal, client)));
  }

  'device.poll'(args, signal) {
    return this.poll(args, signal, true);
  }

  'device.poll_once'(args, signal) {
    return this.poll(args, signal, false);
  }

  async 'jwt.token'(args, signal) {
    const { client: name, ttl_s, scope, session_name, account_id, ...others } = args;
    if (Object.keys(others).length) throw new Unsupported(`getJWTToken takes no ${Object.keys(others)}`);
    const client = this.clients.get(name);
    const settings = given({
      baseURL: client.app.baseURL,
      appId: client.client_id,
      keyid: client.key_id,
      privateKey: client.private_key,
      aud: new URL(client.app.baseURL).host, // as the official quickstart does
      durationSeconds: ttl_s,
      scope,
      sessionName: session_name,
      accountId: account_id,
    });
    return grant(await sdk.getJWTToken(settings, this.options(signal, client)));
  }

  async refresh({ client: name, refresh_token: refreshToken }, signal) {
    const client = this.clients.get(name);
    return grant(await sdk.refreshOAuthToken({ ...client.app, refreshToken }, this.options(signal, client)));
  }

  'provider.new'() {
    throw new Unsupported('nothing keeps and renews tokens; CozeAPI only takes a function that gets one');
  }

  'provider.token'() {
    throw new Unsupported('nothing keeps and renews tokens');
  }

  'provider.parallel'() {
    throw new Unsupported('nothing keeps and renews tokens');
  }

  api({ token, provider }) {
    if (provider) throw new Unsupported('nothing keeps and renews tokens');
    if (!this.apis.has(token)) this.apis.set(token, new sdk.CozeAPI({ baseURL: this.base, token }));
    return this.apis.get(token);
  }

  async 'api.workspaces'(args, signal) {
    const { workspaces } = await this.api(args).workspaces.list({}, this.options(signal));
    return { count: workspaces.length };
  }

  async 'api.call'(args, signal) {
    const user = await this.api(args).users.me(this.options(signal));
    return { user_id: text(user?.user_id), ...given({ user_name: text(user?.user_name) ?? undefined }) };
  }
}

const KINDS = [
  [sdk.APIUserAbortError, 'cancelled'],
  [sdk.TimeoutError, 'timeout'],
  [sdk.APIConnectionError, 'transport'],
  [SyntaxError, 'parse'],
];

/** What a caller can read off the error's public members; a status that the SDK made up is among them. */
function errorOf(why) {
  const oauth = why.rawError?.error_code ?? why.rawError?.error;
  const code = why.code ?? (typeof oauth === 'string' ? oauth : undefined);
  const known = KINDS.find(([type]) => why instanceof type)?.[1];
  const refused = why instanceof sdk.APIError ? (typeof oauth === 'string' ? 'oauth' : 'api') : 'other';
  const logid = typeof why.logid === 'string' ? why.logid : undefined;
  return {
    kind: known ?? refused,
    documented: why instanceof sdk.CozeAPI.APIError, // what the SDK's sample of errors asks for
    ...given({ code: code === undefined ? undefined : String(code), http_status: why.status, logid }),
  };
}

serve({ about, Case, errorOf });
