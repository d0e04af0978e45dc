/**
 * Finds a Redis server's program, and installs one from the system's own packages where there is none.
 */
import { ensureSystemProgram, findSystemProgram } from './system-program.mjs';

/** @typedef {import('./system-program.mjs').Machine} Machine */

/**
 * Either will do: Valkey goes on from the last Redis under the free licence, with the same protocol and files.
 *
 * @type {import('./system-program.mjs').Wanted}
 */
const server = {
  called: 'Redis server',
  names: ['redis-server', 'valkey-server'],
  packages: {
    'apt-get': ['redis-server', 'valkey-server'],
    dnf: ['valkey', 'redis'],
    apk: ['valkey', 'redis'],
    brew: ['valkey', 'redis'],
  },
  advice:
    "Install redis-server or valkey-server (for example 'sudo apt-get install redis-server' or 'brew install valkey') " +
    "and run this again. 'npm start' also takes a server that runs elsewhere, named by PERMAFROST_REDIS_URL.",
};

/**
 * The full path of a `redis-server` or `valkey-server`, or `undefined`.
 *
 * @param {{ readonly folders: readonly string[] }} [machine] default: PATH, then where packages go
 * @returns {string | undefined}
 */
export function findRedisServer(machine) {
  return findSystemProgram(server, machine);
}

/**
 * The full path of a Redis server's program; installs one first if there is none, and says so before it does.
 * Rejects with what to do by hand when it cannot.
 *
 * @param {(line: string) => void} log gets one line before each step that changes the machine
 * @param {Machine} [machine] default: this one
 * @returns {Promise<string>}
 */
export function ensureRedisServer(log, machine) {
  return ensureSystemProgram(server, log, machine);
}
