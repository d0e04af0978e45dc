/**
 * Finds Prometheus and its promtool, and installs them from the system's own packages where they are missing.
 */
import { dirname, join } from 'node:path';
import { env } from 'node:process';
import { ensureSystemProgram, findSystemProgram } from './system-program.mjs';

/** @type {import('./system-program.mjs').Wanted} */
const promtool = {
  called: 'promtool',
  names: ['promtool'],
  packages: {
    'apt-get': ['prometheus'],
    dnf: ['golang-github-prometheus'],
    apk: ['prometheus'],
    brew: ['prometheus'],
  },
  advice: "Install Prometheus (for example 'sudo apt-get install prometheus').",
};

/** @typedef {{ readonly promtool: string, readonly prometheus: string } | { readonly reason: string }} Prometheus */

/**
 * The programs of a Prometheus that is installed here, or why there is none.
 *
 * @returns {Prometheus}
 */
export function findPrometheus() {
  const found = findSystemProgram(promtool);
  if (found !== undefined) return { promtool: found, prometheus: join(dirname(found), 'prometheus') };
  return { reason: env.PROMETHEUS_MISSING ?? "there is no promtool here; 'npm run check' installs it" };
}

/**
 * As `findPrometheus`, after installing it if need be. Never rejects: a machine where it cannot be had has the reason.
 *
 * @param {(line: string) => void} log gets one line before each step that changes the machine
 * @returns {Promise<Prometheus>}
 */
export async function ensurePrometheus(log) {
  try {
    await ensureSystemProgram(promtool, log);
    return findPrometheus();
  } catch (error) {
    return { reason: error instanceof Error ? error.message : String(error) };
  }
}
