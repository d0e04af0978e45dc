/**
 * Finds a Redis server's program, and installs one from the system's own packages where there is none.
 */
import { accessSync, constants, statSync } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import { runToEnd } from './run-to-end.mjs';

/** Either will do: Valkey goes on from the last Redis under the free licence, with the same protocol and files. */
const servers = ['redis-server', 'valkey-server'];

/** Where package managers put servers that a plain user's PATH does not name. */
const furtherFolders = ['/usr/local/bin', '/opt/homebrew/bin', '/usr/bin', '/usr/sbin', '/usr/local/sbin'];

/**
 * What is asked of the machine: the folders with programs, in the order of preference, and whether we are root.
 *
 * @typedef {{ readonly folders: readonly string[], readonly isRoot: boolean }} Machine
 *
 * @typedef {{ readonly name: string, readonly asRoot: boolean, readonly packages: readonly string[],
 *   readonly install: readonly string[], readonly refresh?: readonly string[], readonly env?: readonly string[] }} Manager
 */

/** @type {readonly Manager[]} */
const managers = [
  {
    name: 'apt-get',
    asRoot: true,
    packages: ['redis-server', 'valkey-server'],
    install: ['install', '-y', '--no-install-recommends'],
    refresh: ['update'],
    env: ['env', 'DEBIAN_FRONTEND=noninteractive'],
  },
  { name: 'dnf', asRoot: true, packages: ['valkey', 'redis'], install: ['install', '-y'] },
  { name: 'apk', asRoot: true, packages: ['valkey', 'redis'], install: ['add', '--no-cache'] },
  { name: 'brew', asRoot: false, packages: ['valkey', 'redis'], install: ['install'] },
];

/**
 * The full path of a `redis-server` or `valkey-server`, or `undefined`.
 *
 * @param {{ readonly folders: readonly string[] }} [machine] default: PATH, then where packages go
 * @returns {string | undefined}
 */
export function findRedisServer(machine = thisMachine()) {
  return servers.map((name) => findProgram(name, machine.folders)).find((path) => path !== undefined);
}

/**
 * The full path of a Redis server's program; installs one first if there is none, and says so before it does.
 * Rejects with what to do by hand when it cannot.
 *
 * @param {(line: string) => void} log gets one line before each step that changes the machine
 * @param {Machine} [machine] default: this one
 * @returns {Promise<string>}
 */
export async function ensureRedisServer(log, machine = thisMachine()) {
  const present = findRedisServer(machine);
  if (present !== undefined) return present;
  const commands = installCommands(machine);
  for (const command of commands) {
    log(`There is no redis-server or valkey-server here yet. To install one: running ${command.join(' ')}`);
    const [program = '', ...args] = command;
    await runToEnd(program, args, { stdout: 'stderr' }).catch((error) => log(error.message));
    const installed = findRedisServer(machine);
    if (installed !== undefined) return installed;
  }
  const tried = basename(managerOf(machine)?.path ?? '');
  const known = managers.map(({ name }) => name).join(', ');
  throw new Error(
    `There is no Redis server here, and ${tried === '' ? `no package manager known to us (${known})` : `${tried} could not install one; its own words are above`}. ` +
      "Install redis-server or valkey-server (for example 'sudo apt-get install redis-server' or 'brew install valkey') " +
      "and run this again. 'npm start' also takes a server that runs elsewhere, named by PERMAFROST_REDIS_URL.",
  );
}

/**
 * The commands to try in this order until the server is there. On a machine whose lists of packages were never fetched
 * the first fails and the refresh helps; on others it would only cost time.
 *
 * @param {Machine} machine
 * @returns {string[][]}
 */
function installCommands(machine) {
  const found = managerOf(machine);
  if (found === undefined) return [];
  const { manager, path } = found;
  const sudo = manager.asRoot && !machine.isRoot ? findProgram('sudo', machine.folders) : undefined;
  const prefix = [...(sudo === undefined ? [] : [sudo, '-n']), ...(manager.env ?? [])];
  const installs = manager.packages.map((name) => [...prefix, path, ...manager.install, name]);
  if (manager.refresh === undefined) return installs;
  return [...installs.slice(0, 1), [...prefix, path, ...manager.refresh], ...installs];
}

/** @param {Machine} machine */
function managerOf(machine) {
  for (const manager of managers) {
    const path = findProgram(manager.name, machine.folders);
    if (path !== undefined) return { manager, path };
  }
  return undefined;
}

/** @returns {Machine} */
function thisMachine() {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return { folders: [...folders, ...furtherFolders], isRoot: process.getuid?.() === 0 };
}

/**
 * @param {string} name
 * @param {readonly string[]} folders
 * @returns {string | undefined}
 */
function findProgram(name, folders) {
  return folders.map((folder) => join(folder, name)).find(isProgram);
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
