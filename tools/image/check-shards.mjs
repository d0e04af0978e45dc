/**
 * Says whether so many workers are enough for the archive: `node check-shards.mjs <workers>`. Exit status 0 when every shard
 * that ever took puts has one, 1 when a shard would be left without, and when Redis does not tell. The chart asks it before
 * an upgrade that might take pods away.
 */
import { spawnSync } from 'node:child_process';
import { argv, execPath } from 'node:process';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('./dist/cli/main.js', import.meta.url));
const workers = Number(argv[2]);

/** The most shards that the archive ever had, by its topology. */
function shardsEver() {
  const { status, stdout } = spawnSync(execPath, [main, 'topology', 'show', '--json'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0)
    throw new Error(`permafrost topology show ended with ${status}: nothing is changed while this is unknown`);
  /** @type {{ generations: { shards: number }[] }} */
  const { generations } = JSON.parse(stdout);
  return Math.max(1, ...generations.map(({ shards }) => shards));
}

try {
  if (!Number.isInteger(workers) || workers < 1) throw new Error('usage: node check-shards.mjs <workers>');
  const shards = shardsEver();
  if (workers < shards) {
    throw new Error(
      `the archive has records in ${shards} shards: with ${workers} workers, those of the others could not be read any more. ` +
        `Keep ${shards}; to put into fewer, set topology.putShards`,
    );
  }
  console.log(`${workers} workers are enough for ${shards} shards`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
