/**
 * Finds a program on this machine, and installs it from the system's own packages where it is missing.
 */
import { accessSync, constants, statSync } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import { runToEnd } from './run-to-end.mjs';

/** Where package managers put servers that a plain user's PATH does not name. */
const furtherFolders = ['/usr/local/bin', '/opt/homebrew/bin', '/usr/bin', '/usr/sbin', '/usr/local/sbin'];

/**
 * A program that may have several names, and the packages to try for it, by package manager. `called` is for people, as
 * in "There is no Redis server here"; `advice` says what to do by hand, a whole sentence.
 *
 * @typedef {{ readonly called: string, readonly names: readonly string[],
 *   readonly packages: Readonly<Record<string, readonly string[]>>, readonly advice: string }} Wanted
 *
 * What is asked of the machine: the folders with programs, in the order of preference, and whether we are root.
 *
 * @typedef {{ readonly folders: readonly string[], readonly isRoot: boolean }} Machine
 *
 * @typedef {{ readonly name: string, readonly asRoot: boolean, readonly install: readonly string[],
 *   readonly refresh?: readonly string[], readonly env?: readonly string[] }} Manager
 */

/** @type {readonly Manager[]} */
const managers = [
  {
    name: 'apt-get',
    asRoot: true,
    install: ['install', '-y', '--no-install-recommends'],
    refresh: ['update'],
    env: ['env', 'DEBIAN_FRONTEND=noninteractive'],
  },
  { name: 'dnf', asRoot: true, install: ['install', '-y'] },
  { name: 'apk', asRoot: true, install: ['add', '--no-cache'] },
  { name: 'brew', asRoot: false, install: ['install'] },
];

/**
 * The full path of the program, or `undefined`.
 *
 * @param {Wanted} wanted
 * @param {{ readonly folders: readonly string[] }} [machine] default: PATH, then where packages go
 * @returns {string | undefined}
 */
export function findSystemProgram(wanted, machine = thisMachine()) {
  return wanted.names.map((name) => findProgram(name, machine.folders)).find((path) => path !== undefined);
}

/**
 * The full path of the program; installs it first if it is not there, and says so before it does. Rejects with what to do
 * by hand when it cannot.
 *
 * @param {Wanted} wanted
 * @param {(line: string) => void} log gets one line before each step that changes the machine
 * @param {Machine} [machine] default: this one
 * @returns {Promise<string>}
 */
export async function ensureSystemProgram(wanted, log, machine = thisMachine()) {
  const present = findSystemProgram(wanted, machine);
  if (present !== undefined) return present;
  for (const command of installCommands(wanted, machine)) {
    log(`There is no ${wanted.names.join(' or ')} here yet. To install one: running ${command.join(' ')}`);
    const [program = '', ...args] = command;
    await runToEnd(program, args, { stdout: 'stderr' }).catch((error) => log(error.message));
    const installed = findSystemProgram(wanted, machine);
    if (installed !== undefined) return installed;
  }
  const tried = basename(managerOf(machine)?.path ?? '');
  const known = managers.map(({ name }) => name).join(', ');
  const why =
    tried === ''
      ? `no package manager known to us (${known})`
      : `${tried} could not install one; its own words are above`;
  throw new Error(`There is no ${wanted.called} here, and ${why}. ${wanted.advice}`);
}

/**
 * The commands to try in this order until the program is there. On a machine whose lists of packages were never fetched
 * the first fails and the refresh helps; on others it would only cost time.
 *
 * @param {Wanted} wanted
 * @param {Machine} machine
 * @returns {string[][]}
 */
function installCommands(wanted, machine) {
  const found = managerOf(machine);
  if (found === undefined) return [];
  const { manager, path } = found;
  const sudo = manager.asRoot && !machine.isRoot ? findProgram('sudo', machine.folders) : undefined;
  const prefix = [...(sudo === undefined ? [] : [sudo, '-n']), ...(manager.env ?? [])];
  const packages = wanted.packages[manager.name] ?? [];
  const installs = packages.map((name) => [...prefix, path, ...manager.install, name]);
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
