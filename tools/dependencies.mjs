import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runToEnd } from './run-to-end.mjs';

/** The project's top folder. */
export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

/**
 * @typedef {{ version?: string, integrity?: string, optional?: boolean }} Package
 * @typedef {{ packages: Record<string, Package> }} Lock
 */

/**
 * Installs what package-lock.json names, unless exactly that is installed already. npm itself writes down what it
 * installed, as the last thing it does, so an installation that was interrupted is done again.
 *
 * @param {(line: string) => void} log
 */
export async function ensureDependencies(log) {
  const wanted = readLock(join(root, 'package-lock.json'));
  if (wanted === undefined) throw new Error('package-lock.json is missing or cannot be read');
  const reason = reasonToInstall(wanted, readLock(join(root, 'node_modules', '.package-lock.json')));
  if (reason === undefined) return;
  log(`Installing dependencies with npm ci: ${reason}. This takes a minute or so.`);
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund'];
  const status = await runToEnd('npm', args, { env: environmentOutside(), stdout: 'stderr' });
  if (status !== 0) throw new Error(`npm ${args.join(' ')} failed with status ${status}; its own words are above`);
}

/**
 * Why `wanted` is not what is installed, in words for people; `undefined` when it is. Optional packages may be absent:
 * most are for other systems.
 *
 * @param {Lock} wanted
 * @param {Lock | undefined} installed
 * @returns {string | undefined}
 */
export function reasonToInstall(wanted, installed) {
  if (installed === undefined) return 'none are installed yet';
  for (const [at, entry] of Object.entries(wanted.packages)) {
    const present = installed.packages[at];
    if (at === '' || (present === undefined && entry.optional === true)) continue;
    if (present === undefined) return `${at} is missing`;
    if (present.version !== entry.version || present.integrity !== entry.integrity) return `${at} is another version`;
  }
  return undefined;
}

/**
 * @param {string} path
 * @returns {Lock | undefined}
 */
function readLock(path) {
  if (!existsSync(path)) return undefined;
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * Our environment without this project's own programs: npm must not run on the very Node that it is about to replace.
 */
function environmentOutside() {
  const own = join(root, 'node_modules');
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.startsWith(own));
  return { ...process.env, PATH: path.join(delimiter) };
}
