/**
 * For node's test runner: a mock for a file, a world for a test, and the journal beside a test that fails.
 *
 * The runner has a process for each file, so files that run at once have a mock each.
 *
 * @module
 */
import type { TestContext } from 'node:test';
import { ControlError } from './errors.js';
import { giveBack, take } from './names.js';
import { type CozeAuthMock, start, type StartOptions, type WorldOptions } from './server.js';
import type { MockWorld } from './world.js';

let mock: Promise<CozeAuthMock> | undefined;

/** The running mock of this process. The first call starts it, and its options count; it ends with the process. */
export function cozeAuthMock(options?: StartOptions): Promise<CozeAuthMock> {
  mock ??= start(options);
  return mock;
}

/** A world of the mock for this test alone. It ends with the test, whose journal is told if it fails. */
export async function cozeWorld(t: TestContext, options?: WorldOptions): Promise<MockWorld> {
  const running = await cozeAuthMock();
  const { fullName = t.name } = t as { fullName?: string };
  const name = take('node', t.name, process.argv[1] ?? '', fullName);
  let world: MockWorld;
  try {
    world = await running.makeWorld(name, options);
  } catch (error) {
    giveBack(name);
    throw error;
  }
  t.after(async () => {
    world.clock.uninstall();
    // The type of Node 20 does not have it.
    if ((t as { passed?: boolean }).passed) return;
    const report = await world.report().catch((error: Error) => error.message);
    for (const line of ['coze-auth-mock journal', ...report.split('\n')]) t.diagnostic(line);
  });
  // After the other hooks of the test, which may ask the world.
  t.signal.addEventListener('abort', () => {
    running
      .removeWorld(name)
      .catch((error) => {
        // A mock that has ended is told by the next test that needs it.
        if (!(error instanceof ControlError)) throw error;
      })
      .finally(() => giveBack(name));
  });
  return world;
}
