/**
 * Finds or installs a Go that builds the programs the chart is checked with.
 */
import { spawnSync } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { env } from 'node:process';
import { ensureSystemProgram } from '../system-program.mjs';

/** Where Go is put by its own installer, by package managers, and by a person for themselves. */
const furtherFolders = [
  '/usr/local/go/bin',
  '/usr/lib/go/bin',
  '/opt/homebrew/bin',
  join(env.HOME ?? '/', 'go', 'bin'),
];

/** @type {import('../system-program.mjs').Wanted} */
const system = {
  called: 'Go',
  names: ['go'],
  packages: { 'apt-get': ['golang-go'], dnf: ['golang'], apk: ['go'], brew: ['go'] },
  advice: 'Install Go.',
};

/** What tools/helm/go.mod asks for. A Go from 1.21 on can fetch this one by itself; an older one does not understand it. */
const oldestMinor = 21;

/**
 * The path of a Go, or why there is none.
 *
 * @param {readonly string[]} [folders] default: PATH, then where Go is usually put
 * @returns {{ readonly program: string } | { readonly reason: string }}
 */
export function findGo(folders = [...(env.PATH ?? '').split(delimiter), ...furtherFolders]) {
  const found = [];
  for (const folder of folders) {
    const program = join(folder, 'go');
    const answer = spawnSync(program, ['env', 'GOVERSION'], { encoding: 'utf8', timeout: 30_000 });
    if (answer.status !== 0) continue;
    const version = answer.stdout.trim();
    if (isNewEnough(version)) return { program };
    found.push(`${program} is ${version}`);
  }
  const reason = found.length === 0 ? 'there is no go' : `${found.join(', ')}: too old`;
  return { reason: `${reason}; install Go 1.${oldestMinor} or newer` };
}

/**
 * As `findGo`, after installing one from the system's own packages if there is none at all.
 *
 * @param {(line: string) => void} log gets one line before each step that changes the machine
 */
export async function ensureGo(log) {
  const found = findGo();
  if ('program' in found) return found;
  try {
    await ensureSystemProgram(system, log);
    return findGo();
  } catch {
    return found;
  }
}

/** @param {string} version as in `go1.26.8` */
export function isNewEnough(version) {
  const [, major, minor] = /^go(\d+)\.(\d+)/.exec(version) ?? [];
  return Number(major) > 1 || (Number(major) === 1 && Number(minor) >= oldestMinor);
}
