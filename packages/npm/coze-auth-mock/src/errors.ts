/** What can go wrong between a test and its mock. */
import { AssertionError } from 'node:assert';
import type { Explanation } from './journal.js';

/** An error of the mock, and not of the program that is tested. */
export class MockError extends Error {
  static {
    this.prototype.name = 'MockError';
  }
}

/** The binary was not found, or did not start; the text says what it printed. */
export class StartError extends MockError {
  static {
    this.prototype.name = 'StartError';
  }
}

/** The mock refused what a test asked of it, or does not answer. */
export class ControlError extends MockError {
  static {
    this.prototype.name = 'ControlError';
  }

  constructor(
    text: string,
    /** The HTTP status of the refusal, and null without an answer. */
    readonly status: number | null = null,
    options?: ErrorOptions,
  ) {
    super(text, options);
  }
}

/** The mock refused an authorize request: the browser would have shown an error. */
export class AuthorizeError extends ControlError {
  static {
    this.prototype.name = 'AuthorizeError';
  }

  constructor(
    status: number,
    /** Coze's code. */
    readonly error: string,
    /** The rule that refused the request, and how to fix the client. */
    readonly explanation: Explanation,
  ) {
    super(`${error}: ${explanation}`, status);
  }
}

/** An expectation that was not met. */
export interface UnmetExpectation {
  /** The position of the expectation, counted from 0. */
  index: number;
  /** What was expected, which requests matched, and which other request was nearest. */
  why: string;
}

/** Unmet expectations; the text says for each why. */
export class VerifyError extends AssertionError {
  constructor(readonly failures: UnmetExpectation[]) {
    super({ message: failures.map(({ index, why }) => `expectation ${index}: ${why}`).join('\n') });
    this.name = 'VerifyError';
  }
}
