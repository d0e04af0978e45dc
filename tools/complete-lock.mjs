/**
 * Completes package-lock.json after `npm install`.
 *
 * npm leaves an optional package of another platform out of the lock when its registry does not serve it, and then
 * refuses the same lock in `npm ci` because the package is missing. This adds such packages by name, version, system and
 * processor: enough for `npm ci` to pass over them here, and to install them (without a known hash) where they fit.
 *
 * Run: `npm run lock`. A test fails when it is needed.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

/**
 * @typedef {{ version?: string, dev?: boolean, optional?: boolean, optionalDependencies?: Record<string, string>,
 *   os?: string[], cpu?: string[], libc?: string[] }} LockedPackage
 * @typedef {{ packages: Record<string, LockedPackage> }} Lock
 */

const systems = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'sunos', 'win32'];

/**
 * The optional packages that `lock` names but does not hold, as they have to stand in it.
 *
 * @param {Lock} lock
 * @returns {Record<string, LockedPackage>}
 */
export function missingPackages(lock) {
  /** @type {Record<string, LockedPackage>} */
  const missing = {};
  for (const entry of Object.values(lock.packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      const at = `node_modules/${name}`;
      if (lock.packages[at] === undefined) missing[at] = stub(name, version, entry.dev === true);
    }
  }
  return missing;
}

/**
 * @param {string} name
 * @param {string} version
 * @param {boolean} dev
 * @returns {LockedPackage}
 */
function stub(name, version, dev) {
  const words = name.split('-');
  const at = words.findIndex((word) => systems.includes(word));
  const [system, processor, libc] = words.slice(at);
  if (at < 0 || system === undefined || processor === undefined) {
    throw new Error(`package-lock.json has no ${name}@${version}, and its name tells no system: add it by hand`);
  }
  return {
    version,
    cpu: [processor],
    ...(dev ? { dev } : {}),
    ...(libc === undefined ? {} : { libc: [libc] }),
    optional: true,
    os: [system],
  };
}

/** @param {string} path */
function complete(path) {
  /** @type {Lock} */
  const lock = JSON.parse(readFileSync(path, 'utf8'));
  const missing = missingPackages(lock);
  const all = Object.entries({ ...lock.packages, ...missing });
  lock.packages = Object.fromEntries(all.sort(([a], [b]) => a.localeCompare(b, 'en')));
  writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`${path}: ${Object.keys(missing).length} packages of other platforms added`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) complete('package-lock.json');
