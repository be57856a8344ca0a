#!/usr/bin/env node
// Makes the two npm packages of a command: itself, and the one with its binary for a platform. Prints the archives.
//   node packages/npm/pack.mjs coze-auth-mock [--binary FILE --platform linux-x64] [--out FOLDER]
// Without --binary it builds one for this platform with cargo, which takes a C compiler. The version is that of the workspace's Cargo.toml.
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const HERE = dirname(fileURLToPath(import.meta.url));
const WORKSPACE = resolve(HERE, '../..');
const TARGET = resolve(process.env.CARGO_TARGET_DIR || join(WORKSPACE, 'target'));
const BUILT = join(TARGET, 'npm');
const TOOLS = join(BUILT, 'tools');
const COMMANDS = { 'coze-auth-mock': 'coze-auth-mock', 'coze-auth-cli': 'coze-auth' };
// `launch.ts` finds the packages with binaries by the same line.
const packageOf = (name, platform) => `${name}-${platform}`;

// npm is a script of the shell on Windows, and no argument here has a space or comes from outside.
const npm = (folder, ...words) =>
  execFileSync('npm', words, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], shell: process.platform === 'win32' });
const json = (value) => `${JSON.stringify(value, null, 2)}\n`;
const put = (folder, file, text) => writeFileSync(join(folder, file), text);

function version() {
  const [, found] = /^\[workspace\.package\]\nversion = "([^"]+)"/m.exec(readFileSync(join(WORKSPACE, 'Cargo.toml'), 'utf8').replaceAll('\r', ''));
  return found;
}

/** The compiler, installed once for each list of versions. */
function tools() {
  const pinned = readFileSync(join(HERE, 'package.json'), 'utf8');
  const stamp = join(TOOLS, 'installed-from');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === pinned) return;
  rmSync(TOOLS, { recursive: true, force: true });
  mkdirSync(TOOLS, { recursive: true });
  put(TOOLS, 'package.json', pinned);
  npm(TOOLS, 'install', '--no-audit', '--no-fund', '--ignore-scripts', '--silent', '--no-package-lock');
  put(TOOLS, 'installed-from', pinned);
}

/** The module in JavaScript with its types, and the names of the platforms. */
async function compiled() {
  tools();
  // Inside of it, so that the compiler finds the types of vitest and of node.
  const folder = join(TOOLS, 'coze-auth-mock');
  rmSync(folder, { recursive: true, force: true });
  for (const file of ['src', 'package.json', 'tsconfig.json']) cpSync(join(HERE, 'coze-auth-mock', file), join(folder, file), { recursive: true });
  cpSync(join(HERE, 'tsconfig.json'), join(TOOLS, 'tsconfig.json'));
  execFileSync(process.execPath, [join(TOOLS, 'node_modules/typescript/bin/tsc'), '-p', folder], { stdio: 'inherit' });
  const dist = join(folder, 'dist');
  const { PLATFORMS } = await import(pathToFileURL(join(dist, 'launch.js')));
  return { dist, platforms: PLATFORMS };
}

function built(name) {
  execFileSync('cargo', ['build', '--release', '--locked', '--package', name], { cwd: WORKSPACE, stdio: ['ignore', 'inherit', 'inherit'] });
  return join(TARGET, 'release', `${COMMANDS[name]}${process.platform === 'win32' ? '.exe' : ''}`);
}

/** The folder of a package, filled, and its archive. */
function packed(name, out, fill) {
  const folder = join(BUILT, 'packages', name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, 'bin'), { recursive: true });
  for (const licence of ['LICENSE-APACHE', 'LICENSE-MIT']) cpSync(join(WORKSPACE, licence), join(folder, licence));
  fill(folder);
  mkdirSync(out, { recursive: true });
  const [{ filename }] = JSON.parse(npm(folder, 'pack', '--json', '--silent', '--pack-destination', out));
  return join(out, filename);
}

async function main() {
  const options = { binary: { type: 'string' }, platform: { type: 'string' }, out: { type: 'string' } };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const [name] = positionals;
  if (positionals.length !== 1 || !(name in COMMANDS)) throw new Error(`name one package: ${Object.keys(COMMANDS).join(' or ')}`);
  const platform = values.platform ?? `${process.platform}-${process.arch}`;
  const { dist, platforms } = await compiled();
  if (!platforms.includes(platform)) throw new Error(`${platform} is none of the platforms ${platforms.join(', ')}`);
  const binary = resolve(values.binary ?? built(name));
  const out = resolve(values.out ?? join(BUILT, 'dist'));
  const manifest = JSON.parse(readFileSync(join(HERE, name, 'package.json'), 'utf8'));
  const { description, keywords, license, ...rest } = manifest;
  const own = version();

  const main = packed(name, out, (folder) => {
    const optionalDependencies = Object.fromEntries(platforms.map((one) => [packageOf(name, one), own]));
    put(folder, 'package.json', json({ name, version: own, description, keywords, license, ...rest, optionalDependencies }));
    cpSync(join(HERE, name, 'README.md'), join(folder, 'README.md'));
    cpSync(join(HERE, name, 'bin'), join(folder, 'bin'), { recursive: true });
    // The command alone has no module.
    const only = name === 'coze-auth-mock' ? '' : 'launch.js';
    cpSync(join(dist, only), join(folder, 'dist', only), { recursive: true });
  });
  const [os, cpu] = platform.split('-');
  const one = packageOf(name, platform);
  const binaries = packed(one, out, (folder) => {
    const file = `bin/${COMMANDS[name]}${os === 'win32' ? '.exe' : ''}`;
    const libc = os === 'linux' ? { libc: ['glibc'] } : {};
    const about = `The binary of ${name} for ${platform}, which ${name} installs`;
    // It is run where it lies, so not from an archive (Yarn).
    put(folder, 'package.json', json({ name: one, version: own, description: about, license, os: [os], cpu: [cpu], ...libc, files: ['bin', 'LICENSE-*'], preferUnplugged: true }));
    put(folder, 'README.md', `# ${one}\n\n${about}. Install \`${name}\`.\n`);
    cpSync(binary, join(folder, file));
    chmodSync(join(folder, file), 0o755);
  });
  console.log(`${main}\n${binaries}`);
}

await main();
