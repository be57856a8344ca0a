// How a refusal of @coze/api is judged: the error that it throws, and the journal.
import { Mismatch, expect } from './mock_case.mjs';
import { sdk } from '../../../conformance/released-sdks/coze_api_sdk.mjs';
import { PENDING, api, checkPolls, jwt } from './coze_api_flows.mjs';

// The SDK's error classes go by status (protocol §11 coze-js 8: no typed OAuth errors).
const KIND = {
  400: sdk.BadRequestError,
  401: sdk.AuthenticationError,
  403: sdk.PermissionDeniedError,
  428: sdk.APIError,
};

async function thrown(kind, call) {
  let came;
  try {
    came = await call();
  } catch (error) {
    if (error instanceof kind) return error;
    if (!(error instanceof sdk.APIError)) throw error;
    throw new Mismatch(`expected ${kind.name}, the SDK threw ${error.constructor.name}: ${error}`);
  }
  throw new Mismatch(`expected ${kind.name}, the SDK returned ${Object.keys(came ?? {})}`);
}

/** What the SDK keeps of an OAuth error: its message is empty or the bare log id (protocol §11 coze-js 3). */
async function checkOAuthError(mock, why, status, error, rule) {
  expect('status of the SDK error', status, why.status);
  expect('raw error of the SDK', [error, error], [why.rawError.error_code, why.rawError.error]);
  expect('text of the SDK error', `logid: ${why.logid}`, why.message);
  await mock.explained(why.logid, rule);
}

export async function refused(mock, call, status, error, rule, { endpoint = 'token', message, ...wanted }) {
  const why = await thrown(KIND[status], call);
  await mock.saw(endpoint, { status, logid: why.logid, error, rule, ...wanted });
  await checkOAuthError(mock, why, status, error, rule);
  expect('error_message', message, why.rawError.error_message);
}

export const badGrant = (mock, call, rule, what) =>
  refused(mock, call, 400, 'invalid_grant', rule, { message: `invalid grant: ${what}` });
export const badClient = (mock, call, rule, what) =>
  refused(mock, call, 401, 'invalid_client', rule, { message: `invalid client: ${what}` });

export async function deviceRefused(mock, call, error, rule, polls) {
  const status = error === PENDING.error ? PENDING.status : 400;
  const why = await thrown(KIND[status], call);
  await checkPolls(mock, Array(polls).fill(PENDING), { status, logid: why.logid, error, rule });
  await checkOAuthError(mock, why, status, error, rule);
}

export async function tokenRefused(mock, accessToken, rule) {
  const why = await thrown(sdk.AuthenticationError, () => api(mock, accessToken).users.me());
  await mock.saw('users_me', { status: 401, logid: why.logid, error: '4100', rule });
  await mock.explained(why.logid, rule);
  expect(
    'status, code and message of the SDK error',
    [401, 4100, 'authentication is invalid'],
    [why.status, why.code, why.msg],
  );
}

/** The SDK only builds this URL; the person's browser gets the refusal, and is never sent elsewhere. */
export async function loginRefused(mock, url, status, error, rule) {
  const reply = await mock.openAsBrowser(url);
  const logid = reply.headers['x-tt-logid'];
  expect('status and Location of the authorize page', [status, undefined], [reply.status, reply.headers.location]);
  await mock.saw('authorize', { status, logid, error, rule });
  await mock.explained(logid, rule);
}

export const jwtRefused = (mock, changed, rule, message) =>
  refused(mock, () => sdk.getJWTToken(jwt(mock, changed)), 401, 'invalid_client', rule, {
    grant: 'jwt_bearer',
    message,
  });
