// A client of the tests: plain HTTP, without a proxy.
import http from 'node:http';
import type { MockWorld } from 'coze-auth-mock';

export const CALLBACK = 'https://app.example/callback';

export interface Answer {
  status: number;
  json: any;
  headers: http.IncomingHttpHeaders;
}

/** Status, JSON (or text) and headers of an answer. */
export function send(base: string, path: string, { body, bearer }: { body?: unknown; bearer?: string } = {}): Promise<Answer> {
  const headers = { 'content-type': 'application/json', ...(bearer && { authorization: `Bearer ${bearer}` }) };
  return new Promise((resolve, reject) => {
    const sent = http.request(base + path, { method: body ? 'POST' : 'GET', headers, agent: false }, async (reply) => {
      let text = '';
      for await (const chunk of reply.setEncoding('utf8')) text += chunk;
      let json: unknown = text;
      try {
        json = JSON.parse(text);
      } catch {
        // a text
      }
      resolve({ status: reply.statusCode ?? 0, json, headers: reply.headers });
    });
    sent.on('error', reject);
    sent.end(body && JSON.stringify(body));
  });
}

export async function authorizeUrl(world: MockWorld, query: Record<string, string> = {}) {
  const { clientId } = await world.app('web');
  const given = { response_type: 'code', client_id: clientId, redirect_uri: CALLBACK, state: 's', ...query };
  return `${world.baseURL}/api/permission/oauth2/authorize?${new URLSearchParams(given)}`;
}

export async function logIn(world: MockWorld) {
  const { searchParams } = await world.authorize(await authorizeUrl(world));
  const { clientId, clientSecret } = await world.app('web');
  const body = { grant_type: 'authorization_code', client_id: clientId, redirect_uri: CALLBACK, code: searchParams.get('code') };
  const { status, json } = await send(world.baseURL, '/api/permission/oauth2/token', { body, bearer: clientSecret });
  if (status !== 200) throw new Error(JSON.stringify(json));
  return json;
}

export async function refresh(world: MockWorld, refreshToken: string) {
  const { clientId, clientSecret } = await world.app('web');
  const body = { grant_type: 'refresh_token', client_id: clientId, refresh_token: refreshToken };
  return send(world.baseURL, '/api/permission/oauth2/token', { body, bearer: clientSecret });
}

export async function me(world: MockWorld, token = 'pat_mock_alice') {
  return (await send(world.baseURL, '/v1/users/me', { bearer: token })).status;
}
