/** Finds the binary of a package, which is in a package of its own for each platform, and runs it in the place of a command. */
import { spawn } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';

// The keys are npm's names of `os` and `cpu`. `pack.mjs` makes a package for each.
export const PLATFORMS = ['darwin-arm64', 'darwin-x64', 'linux-arm64', 'linux-x64', 'win32-x64'];

const require = createRequire(import.meta.url);

// As `pack.mjs` calls it.
const packageOf = (of: string, platform: string) => `${of}-${platform}`;

/** The path of a command's binary: what `variable` names, else that of the package for this platform. The error says what to do. */
export function binaryOf(of: string, command: string, variable: string): string {
  const named = process.env[variable];
  if (named) {
    if (isFile(named)) return named;
    throw new Error(`${variable} names ${named}, which is not a program: correct it, or unset it`);
  }
  const platform = `${process.platform}-${process.arch}`;
  const elsewhere = `build one with cargo (cargo install ${of}) and name it in the variable ${variable}`;
  if (!PLATFORMS.includes(platform)) {
    throw new Error(`${of} has no binary for ${platform}, but for ${PLATFORMS.join(', ')}: ${elsewhere}`);
  }
  const found = inPackage(of, command, platform);
  if (found) return found;
  const missing = `the package ${packageOf(of, platform)}, which has the binary of ${of} for this platform, is not installed`;
  if (isMusl()) {
    throw new Error(`${missing}: it needs glibc, and this system has musl (Alpine): use an image with glibc, such as node:20-slim, or ${elsewhere}`);
  }
  const other = PLATFORMS.find((one) => inPackage(of, command, one));
  const why = other
    ? `node_modules has that of ${other}, so it was installed on another platform: delete node_modules and install here`
    : 'npm was told to leave out optional dependencies (--omit=optional, --no-optional), took a lock file that lists them for another'
      + ' platform alone, or got one of the two archives of a checkout: delete node_modules (and that lock file), and install again'
      + ' without the option, or with both archives';
  throw new Error(`${missing}: ${why}`);
}

function inPackage(of: string, command: string, platform: string): string | undefined {
  const file = `bin/${command}${platform.startsWith('win32') ? '.exe' : ''}`;
  try {
    return require.resolve(`${packageOf(of, platform)}/${file}`);
  } catch {
    return undefined;
  }
}

function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}

function isMusl(): boolean {
  if (process.platform !== 'linux') return false;
  const { report } = process as unknown as { report: { excludeNetwork: boolean; getReport(): unknown } };
  // Otherwise it looks up the names of all peers.
  report.excludeNetwork = true;
  const { header } = report.getReport() as { header: { glibcVersionRuntime?: string } };
  return !header.glibcVersionRuntime;
}

/** Runs the binary as this process: with its arguments, its standard streams, its signals and its exit status. With `untilStdinCloses` its standard
 * input is a pipe of this process, so it ends with this process, however that ends. */
export function launch(of: string, command: string, variable: string, words: string[], untilStdinCloses = false): void {
  let binary;
  try {
    binary = binaryOf(of, command, variable);
  } catch (error) {
    console.error(`error: ${(error as Error).message}`);
    process.exitCode = 1;
    return;
  }
  // Before the child, which may answer at once. Ctrl-C reaches it by itself, and this process has to outlive it.
  process.on('SIGINT', () => child.stdin?.end());
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  const child = spawn(binary, words, { stdio: [untilStdinCloses ? 'pipe' : 'inherit', 'inherit', 'inherit'] });
  child.on('error', (error) => {
    console.error(`error: ${binary} does not start: ${error.message}`);
    process.exitCode = 1;
  });
  child.on('exit', (status, signal) => {
    process.exitCode = status ?? 128 + (signal ? constants.signals[signal] : 0);
  });
}
