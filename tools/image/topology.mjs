/**
 * Keeps the archive's topology in step with a deployment:
 *
 * - `node topology.mjs check <workers>` asks whether so many workers are enough. Exit status 0 when every shard that ever
 *   took puts has one, 1 when a shard would be left without, and when Redis does not tell. Asked before an upgrade that
 *   might take workers away.
 * - `node topology.mjs grow <shards> <seconds>` gives puts to so many shards, as soon as the new ones have live workers. Fewer
 *   than now are refused. Done after an upgrade.
 * - `node topology.mjs set <shards> <seconds>`: the same, but fewer than now is what is wanted.
 */
import { spawnSync } from 'node:child_process';
import { argv, execPath } from 'node:process';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('./dist/cli/main.js', import.meta.url));
const usage = 'usage: node topology.mjs check <workers> | grow <shards> <seconds> | set <shards> <seconds>';

/**
 * The archive's topology: the shards that take puts, and all numbers of shards that it ever had.
 *
 * @returns {{ puts: number, generations: readonly { shards: number }[] }}
 */
function topology() {
  const { status, stdout } = spawnSync(execPath, [main, 'topology', 'show', '--json'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status === 0) return JSON.parse(stdout);
  throw new Error(`permafrost topology show ended with ${status}: nothing is changed while this is unknown`);
}

/** @param {number} workers */
function check(workers) {
  const shards = Math.max(1, ...topology().generations.map((generation) => generation.shards));
  if (workers < shards) {
    throw new Error(
      `the archive has records in ${shards} shards: with ${workers} workers, those of the others could not be read any more. ` +
        `Keep ${shards}; to put into fewer, set topology.putShards`,
    );
  }
  console.log(`${workers} workers are enough for ${shards} shards`);
}

/**
 * @param {'grow' | 'shrink'} action
 * @param {number} shards
 * @param {string} seconds
 */
function change(action, shards, seconds) {
  const args = [main, 'topology', action, String(shards), '--wait', seconds];
  const { status } = spawnSync(execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) throw new Error(`permafrost topology ${action} ended with ${status}`);
}

try {
  const [, , command, number = '', seconds = '0'] = argv;
  const count = Number(number);
  if (!Number.isInteger(count) || count < 1) throw new Error(usage);
  if (command === 'check') check(count);
  else if (command === 'grow') change('grow', count, seconds);
  else if (command === 'set') change(topology().puts > count ? 'shrink' : 'grow', count, seconds);
  else throw new Error(usage);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
