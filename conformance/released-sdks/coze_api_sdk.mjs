// The installed SDK: it lives in the target folder, which install.py names, not beside this file.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';

const home = process.env.RELEASED_SDKS_NPM;
if (!home) throw new Error('RELEASED_SDKS_NPM is not set: start this through run.py or start.py');

export const sdk = createRequire(path.join(home, 'package.json'))('@coze/api');
export const version = JSON.parse(
  fs.readFileSync(path.join(home, 'node_modules/@coze/api/package.json'), 'utf8'),
).version;
