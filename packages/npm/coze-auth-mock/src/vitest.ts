/**
 * Fixtures of vitest: a mock for a worker, a world for a test, and the journal in the report of a test that fails.
 *
 * A worker has a mock of its own: it starts in milliseconds, and nothing has to be shared or agreed upon.
 *
 * @module
 */
import { test as base, type TestAPI } from 'vitest';
import { ControlError } from './errors.js';
import { giveBack, take } from './names.js';
import { type CozeAuthMock, start, type StartOptions, type WorldOptions } from './server.js';
import type { MockWorld } from './world.js';

export interface CozeFixtures {
  /** Options of `start` for the mock of the worker. `test.extend({ cozeAuthMockOptions: [{ seed: 1 }, { scope: 'worker' }] })` sets some. */
  cozeAuthMockOptions: StartOptions;
  /** A running mock, for all tests of the worker. A test that changes something takes `cozeWorld`. */
  cozeAuthMock: CozeAuthMock;
  /** Settings of the world of a test. `test.extend({ cozeWorldOptions: { clock: '2026-01-01T00:00:00Z' } })` sets some. */
  cozeWorldOptions: WorldOptions;
  /** A world of the mock for this test alone. */
  cozeWorld: MockWorld;
}

interface Running {
  name: string;
  file: { name: string };
  suite?: Running;
  result?: { state?: string; errors?: object[] };
}

interface Context {
  task: Running;
  onTestFinished(done: () => Promise<void>): void;
}

const titleOf = (task: Running): string => (task.suite ? `${titleOf(task.suite)} > ${task.name}` : task.name);

/** `test` of vitest with the fixtures. */
export const test: TestAPI<CozeFixtures> = base.extend<CozeFixtures>({
  cozeAuthMockOptions: [{}, { scope: 'worker' }],
  cozeAuthMock: [
    async ({ cozeAuthMockOptions }: Pick<CozeFixtures, 'cozeAuthMockOptions'>, use: (mock: CozeAuthMock) => Promise<void>) => {
      const mock = await start(cozeAuthMockOptions);
      await use(mock);
      await mock.stop();
    },
    { scope: 'worker' },
  ],
  cozeWorldOptions: {},
  cozeWorld: async (
    { cozeAuthMock, cozeWorldOptions, task, onTestFinished }: Omit<CozeFixtures, 'cozeWorld'> & Context,
    use: (world: MockWorld) => Promise<void>,
  ) => {
    const name = take('vitest', task.name, task.file.name, titleOf(task));
    let world: MockWorld;
    try {
      world = await cozeAuthMock.makeWorld(name, cozeWorldOptions);
    } catch (error) {
      giveBack(name);
      throw error;
    }
    // Not at the end of the fixture, since those that rest on the world may fail at theirs.
    onTestFinished(async () => {
      world.clock.uninstall();
      if (task.result?.state === 'fail') await addJournal(task, world);
      try {
        await cozeAuthMock.removeWorld(name);
      } catch (error) {
        // A mock that has ended is told by the next test that needs it.
        if (!(error instanceof ControlError)) throw error;
      } finally {
        giveBack(name);
      }
    });
    await use(world);
  },
});

/** As a further error of the test: every reporter shows them, beside the first one. */
async function addJournal(task: Running, world: MockWorld): Promise<void> {
  const message = await world.report().catch((error: Error) => error.message);
  task.result?.errors?.push({ name: 'coze-auth-mock journal', message, stack: '' });
}
