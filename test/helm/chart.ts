import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { builtPrograms } from '../../tools/helm/programs.mjs';

/** The folder of the chart. */
export const chart = fileURLToPath(new URL('../../helm', import.meta.url));

const programs = builtPrograms();

/** A test that runs Helm or one of its companions: skipped, with the reason, where they could not be built. */
export function chartTest(name: string, body: (t: TestContext) => void): void {
  void test(name, 'reason' in programs ? { skip: programs.reason } : {}, body);
}

/** Each scenario of `ci/`, as the path of its values. */
export const scenarios: readonly string[] = readdirSync(join(chart, 'ci')).map((file) => join(chart, 'ci', file));

/** Runs one of the built programs on the chart, to its end. */
export function run(name: string, args: readonly string[], input = ''): SpawnSyncReturns<string> {
  if ('reason' in programs) throw new Error(programs.reason);
  // Nothing of the user's own Helm: neither plugins nor registries nor a cluster.
  const env = { PATH: process.env.PATH, HOME: '/nonexistent', KUBECONFIG: '/nonexistent' };
  const options = { cwd: chart, env, input, encoding: 'utf8', maxBuffer: 2 ** 26 } as const;
  return spawnSync(join(programs.folder, name), args, options);
}

/** Why nothing can be rendered here, if so. */
export const notBuilt: string | undefined = 'reason' in programs ? programs.reason : undefined;

/** The text of `config.json` in the chart's ConfigMap. */
export function configText(args: readonly string[]): string {
  const rendered = template([...args, '--show-only', 'templates/configmap.yaml']);
  const [, text = ''] = /^ {2}config\.json: \|\n((?: {4}.*\n)+)/m.exec(rendered) ?? [];
  return text;
}

/** What the chart renders with these arguments; an error holds Helm's own words. */
export function template(args: readonly string[] = []): string {
  const { status, stdout, stderr } = run('helm', ['template', 'release', chart, ...args]);
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

/** A file of the chart. */
export function chartFile(path: string): string {
  return readFileSync(join(chart, path), 'utf8');
}
