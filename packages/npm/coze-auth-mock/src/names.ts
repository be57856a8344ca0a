/** The names of worlds that are in use. A test has the same name in each run, so with a seed it has the same tokens. */
import { createHash } from 'node:crypto';

const used = new Set<string>();

/** A name for the world of a test of this name, which its file and its full title tell from others. */
export function take(runner: string, test: string, file: string, title: string): string {
  const words = test.replace(/[^A-Za-z0-9]+/g, '-').slice(0, 24).replace(/^-|-$/g, '');
  const hash = createHash('sha256').update(`${file}\n${title}`).digest('hex').slice(0, 8);
  const name = [runner, words, hash].filter(Boolean).join('-');
  let free = name;
  // Tests that run at once may have one title.
  for (let number = 2; used.has(free); number += 1) free = `${name}-${number}`;
  used.add(free);
  return free;
}

export function giveBack(name: string): void {
  used.delete(name);
}
