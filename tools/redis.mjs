/**
 * Finds a Redis server's program, and installs one from the system's own packages where there is none.
 */
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { runToEnd } from './run-to-end.mjs';

/** Either will do: Valkey goes on from the last Redis under the free licence, with the same protocol and files. */
const programs = ['redis-server', 'valkey-server'];

/** Where package managers put servers that a plain user's PATH does not name. */
const furtherFolders = ['/usr/local/bin', '/opt/homebrew/bin', '/usr/bin', '/usr/sbin', '/usr/local/sbin'];

/**
 * @typedef {{ readonly program: string, readonly asRoot: boolean, readonly packages: readonly string[],
 *   readonly install: (name: string) => string[], readonly refresh?: string[] }} Manager
 */

/** @type {readonly Manager[]} */
export const managers = [
  {
    program: 'apt-get',
    asRoot: true,
    packages: ['redis-server', 'valkey-server'],
    install: (name) => ['install', '-y', '--no-install-recommends', name],
    refresh: ['update'],
  },
  { program: 'dnf', asRoot: true, packages: ['valkey', 'redis'], install: (name) => ['install', '-y', name] },
  { program: 'apk', asRoot: true, packages: ['valkey', 'redis'], install: (name) => ['add', '--no-cache', name] },
  { program: 'brew', asRoot: false, packages: ['valkey', 'redis'], install: (name) => ['install', name] },
];

/**
 * The full path of a `redis-server` or `valkey-server`, or `undefined`. Looks along PATH, then where packages go.
 *
 * @returns {string | undefined}
 */
export function findRedisServer() {
  for (const program of programs) {
    const found = findProgram(program, furtherFolders);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * The full path of a Redis server's program; installs one first if there is none, and says so before it does.
 * Rejects with what to do by hand when it cannot.
 *
 * @param {(line: string) => void} log gets one line before each step that changes the machine
 * @returns {Promise<string>}
 */
export async function ensureRedisServer(log) {
  const present = findRedisServer();
  if (present !== undefined) return present;
  const manager = managers.find((candidate) => findProgram(candidate.program) !== undefined);
  if (manager === undefined) throw new Error(byHand('and no package manager known here (apt-get, dnf, apk, brew)'));
  for (const command of installCommands(manager, process.getuid?.() === 0, findProgram('sudo') !== undefined)) {
    log(`No redis-server or valkey-server found: installing one with: ${command.join(' ')}`);
    const [program = '', ...args] = command;
    await runToEnd(program, args, { stdout: 'stderr' }).catch((error) => log(error.message));
    const installed = findRedisServer();
    if (installed !== undefined) return installed;
  }
  throw new Error(byHand(`and ${manager.program} could not install one; its own words are above`));
}

/**
 * The commands to try in this order until the server is there. Without a list of packages the first install fails and
 * the refresh helps; with one it saves the time.
 *
 * @param {Manager} manager
 * @param {boolean} isRoot
 * @param {boolean} hasSudo
 * @returns {string[][]}
 */
export function installCommands(manager, isRoot, hasSudo) {
  const prefix = manager.asRoot && !isRoot && hasSudo ? ['sudo', '-n'] : [];
  const quiet = manager.program === 'apt-get' ? ['env', 'DEBIAN_FRONTEND=noninteractive'] : [];
  const installs = manager.packages.map((name) => [...prefix, ...quiet, manager.program, ...manager.install(name)]);
  if (manager.refresh === undefined) return installs;
  return [...installs.slice(0, 1), [...prefix, manager.program, ...manager.refresh], ...installs];
}

/** @param {string} why */
function byHand(why) {
  return (
    `Permafrost needs a Redis server, ${why}. Install redis-server or valkey-server (for example ` +
    `'sudo apt-get install redis-server' or 'brew install redis') and run this again; 'npm start' also takes a server ` +
    'that runs elsewhere, named by PERMAFROST_REDIS_URL.'
  );
}

/**
 * @param {string} name
 * @param {readonly string[]} further folders to look into after those of PATH
 * @returns {string | undefined}
 */
function findProgram(name, further = []) {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return [...folders, ...further].map((folder) => join(folder, name)).find(isProgram);
}

/** @param {string} path */
function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
