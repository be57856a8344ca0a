// Prints the median milliseconds from `start()` to the first answer, and those of another server: `start.mjs SCRIPT`, beside coze-auth-mock.
import { spawn } from 'node:child_process';
import http from 'node:http';
import { createServer } from 'node:net';
import { start } from 'coze-auth-mock';

const median = (all) => all.sort((one, two) => one - two)[all.length >> 1];

async function ours() {
  const began = performance.now();
  const mock = await start();
  await mock.control('GET', '/health');
  const took = performance.now() - began;
  await mock.stop();
  return took;
}

const answers = (url) =>
  new Promise((done) => {
    http.get(url, { agent: false }, (reply) => reply.resume().on('end', () => done(true))).on('error', () => done(false));
  });

async function theirs(script) {
  const free = createServer();
  await new Promise((done) => free.listen(0, '127.0.0.1', done));
  const { port } = free.address();
  await new Promise((done) => free.close(done));
  const began = performance.now();
  const server = spawn(process.execPath, [script, String(port)], { stdio: 'ignore' });
  try {
    while (performance.now() - began < 30_000) {
      if (await answers(`http://127.0.0.1:${port}/.well-known/openid-configuration`)) return performance.now() - began;
      await new Promise(setImmediate);
    }
    throw new Error('it does not answer');
  } finally {
    server.kill();
  }
}

await ours();
const all = { ours: [], theirs: [] };
for (let pair = 0; pair < 7; pair += 1) {
  const five = [];
  for (let number = 0; number < 5; number += 1) five.push(await ours());
  all.ours.push(median(five));
  all.theirs.push(await theirs(process.argv[2]));
}
console.log(JSON.stringify([median(all.ours), median(all.theirs)]));
