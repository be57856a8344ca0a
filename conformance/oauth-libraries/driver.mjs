// The loop of a driver in JavaScript (README.md). Its clock is that of the whole process, so the library's, too: import this first.
import { createInterface } from 'node:readline';

const Machine = Date;
let ahead = 0;
globalThis.Date = class extends Machine {
  constructor(...given) {
    super(...(given.length ? given : [Machine.now() + ahead]));
  }
  static now() {
    return Machine.now() + ahead;
  }
};
console.log = console.info = console.debug = console.error; // standard output has answers alone

/** The person's name by a call of the API, whose answer is Coze's by recipe, and flat otherwise. */
export async function nameOf(given, token) {
  const answer = await (await fetch(given.profile, { headers: { authorization: `Bearer ${token}` } })).json();
  return named(given, answer);
}

export const named = (given, answer) => (given.how === 'by recipe' ? answer.data.user_name : answer.name);

/** `library` has `begin`, `callback` and `profile`; what they throw is what a program sees, with what `words` finds in it. */
export async function drive(library) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { do: asked, ...given } = JSON.parse(line);
    let said = {};
    try {
      if (asked === 'clock') ahead = given.seconds * 1000;
      else if (asked === 'begin') said.url = String(await library.begin(given));
      else if (asked === 'callback') said.token = await library.callback(given.url);
      else said.name = await library.profile();
    } catch (error) {
      console.error(error);
      said = { error: [error.message, library.words?.(error)].join(' '), type: error.name };
    }
    process.stdout.write(`${JSON.stringify(said)}\n`);
  }
  process.exit();
}
