/**
 * A mock Coze (扣子) auth server for tests in JavaScript: starts `coze-auth-mock`, and controls it.
 *
 * `start` gives a running mock, and each of its worlds has apps, tokens, a clock, faults and a journal of its own. The names are those of the
 * Rust library. `coze-auth-mock/vitest` and `coze-auth-mock/node-test` have a world for each test.
 *
 * @module
 */
export type { Clock } from './clock.js';
export { AuthorizeError, ControlError, MockError, StartError, type UnmetExpectation, VerifyError } from './errors.js';
export { Explanation, JournalEntry, type Leak, type Outcome } from './journal.js';
export { CozeAuthMock, findBinary, start, type StartOptions, type WorldOptions } from './server.js';
export {
  Api,
  type AppKind,
  type At,
  type Consent,
  type DeviceAction,
  Expect,
  Fault,
  type FaultKind,
  type MemberChange,
  On,
  RequestFilter,
  type Requests,
  type ScriptEnd,
  ScriptStep,
  type Span,
  type TokenKind,
} from './specs.js';
export { type FaultHandle, type Gate, type MockApp, MockWorld, type PendingDevice, type ScriptHandle } from './world.js';
