/**
 * Builds the programs that the chart is checked with from their Go modules, at the versions that go.mod and docs/go.mod
 * pin and with the contents that their go.sum files name. They are kept in the user's cache, by what they were built from.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';
import { fileURLToPath } from 'node:url';
import { runToEnd } from '../run-to-end.mjs';
import { ensureGo } from './go.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
/** Two modules: helm-docs asks for an older Helm than the others do. */
const modules = [here, join(here, 'docs')];

/** What is built. */
export const programNames = ['helm', 'helm-unittest', 'kubeconform', 'helm-docs'];

/** As Helm's own build has it: its version, and that of the Kubernetes that it renders for when nothing else is said. */
const helmVersion = /helm\.sh\/helm\/v3 (v[\d.]+)/.exec(readFileSync(join(here, 'go.mod'), 'utf8'))?.[1] ?? '';
const kubernetesMinor = /k8s\.io\/client-go v0\.(\d+)\./.exec(readFileSync(join(here, 'go.mod'), 'utf8'))?.[1] ?? '';
const linked = [
  `helm.sh/helm/v3/internal/version.version=${helmVersion}`,
  ...['pkg/lint/rules', 'pkg/chartutil'].flatMap((place) => [
    `helm.sh/helm/v3/${place}.k8sVersionMajor=1`,
    `helm.sh/helm/v3/${place}.k8sVersionMinor=${kubernetesMinor}`,
  ]),
];
/** Two compilers at a time: each takes up to a gigabyte. */
const buildArguments = ['-trimpath', '-p', '2', '-ldflags', ['-s -w', ...linked.map((x) => `-X ${x}`)].join(' ')];

/** @typedef {{ readonly folder: string } | { readonly reason: string }} Programs */

/**
 * Where the programs are, if they were built, or why not.
 *
 * @returns {Programs}
 */
export function builtPrograms() {
  const folder = programFolder();
  if (programNames.every((name) => existsSync(join(folder, name)))) return { folder };
  return { reason: env.HELM_PROGRAMS_MISSING ?? `helm and its companions are not built yet; 'npm run check' does it` };
}

/**
 * As `builtPrograms`, after building them if need be: about two minutes on two cores, once for each version. Never
 * rejects: a machine without Go or network has the reason.
 *
 * @param {(line: string) => void} log gets one line before the build begins
 * @returns {Promise<Programs>}
 */
export async function ensurePrograms(log) {
  const before = builtPrograms();
  if ('folder' in before) return before;
  const go = await ensureGo(log);
  if ('reason' in go) return go;
  log(`Building ${programNames.join(', ')} with ${go.program} for the checks of the chart: once, two minutes or so.`);
  const folder = programFolder();
  mkdirSync(join(folder, '..'), { recursive: true });
  const unfinished = mkdtempSync(`${folder}-`);
  try {
    for (const module of modules) await build(go.program, module, unfinished);
    if (!existsSync(folder)) renameSync(unfinished, folder);
    return { folder };
  } catch (error) {
    return { reason: error instanceof Error ? error.message : String(error) };
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

/**
 * @param {string} go
 * @param {string} module
 * @param {string} target
 */
async function build(go, module, target) {
  const args = ['build', '-C', module, '-mod=readonly', ...buildArguments, '-o', `${target}/`, 'tool'];
  const status = await runToEnd(go, args, { env: { ...env, CGO_ENABLED: '0' }, stdout: 'stderr' });
  if (status !== 0) throw new Error(`go build failed with status ${status}; its own words are above`);
}

/** Named by all that the programs are made of. */
function programFolder() {
  const hash = createHash('sha256').update(JSON.stringify([buildArguments, process.platform, process.arch]));
  for (const module of modules) {
    for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(join(module, file)));
  }
  const cache = env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return join(cache, 'permafrost', 'helm-programs', hash.digest('hex').slice(0, 16));
}
