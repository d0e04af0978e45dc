import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findJob } from '../../src/jobs/job-finder.ts';
import { queueAddress } from '../../src/jobs/queue-address.ts';
import { Random } from '../simulation/random.ts';
import { ArchiveSite } from './archive-site.ts';

const program = fileURLToPath(new URL('./archiver-program.ts', import.meta.url));
const jobCount = 300;
const killCount = 6;
const queue = 'killed';

suite('an archiver that is killed', () => {
  let site: ArchiveSite;
  before(async () => {
    site = await ArchiveSite.start();
  });
  after(() => site.stop());

  /** Runs an archiver until it has made so many steps; its exit status, if it came to its end before. */
  async function run(stepCount: number): Promise<number | null> {
    const child = spawn(process.execPath, [program, site.server.url, queue], { stdio: ['ignore', 'pipe', 'ignore'] });
    let steps = 0;
    createInterface({ input: child.stdout }).on('line', () => {
      steps += 1;
      if (steps === stepCount) child.kill('SIGKILL');
    });
    const [status] = await once(child, 'close');
    return status;
  }

  /** Jobs that are not in Redis any more; each must be in the archive, whole. */
  async function checkRemoved(bodies: ReadonlyMap<string, string>): Promise<number> {
    const checks = [...bodies].map(async ([id, body]) => {
      if ((await site.redis.exists(`bull:${queue}:${id}`)) === 1) return false;
      const found = await findJob(site.client, queueAddress(queue), id);
      assert.ok(found !== undefined, `job ${id} is neither in Redis nor in the archive`);
      assert.deepEqual(found.members.data, { returns: body });
      assert.equal(found.members.returnvalue, body);
      return true;
    });
    return (await Promise.all(checks)).filter((isRemoved) => isRemoved).length;
  }

  test('again and again loses nothing and removes nothing that is not archived', async (context) => {
    const seed = Number(process.env.PERMAFROST_TEST_SEED ?? Date.now() % 1_000_000);
    context.diagnostic(`PERMAFROST_TEST_SEED=${seed}`);
    const random = new Random(seed);
    const bodies = new Map(Array.from({ length: jobCount }, (_, n) => [`job-${n}`, `${n}`.repeat(1 + (n % 400))]));
    const jobs = [...bodies].map(([jobId, returns]) => ({ data: { returns }, opts: { jobId } }));
    await site.finish(queue, jobs);
    let removedCount = 0;
    for (let kill = 0; kill < killCount; kill++) {
      await run(1 + random.below(jobCount));
      const nowCount = await checkRemoved(bodies);
      assert.ok(nowCount >= removedCount);
      removedCount = nowCount;
    }
    context.diagnostic(`${removedCount} of ${jobCount} jobs removed over ${killCount} kills`);
    while ((await run(Number.POSITIVE_INFINITY)) !== 0);
    assert.equal(await checkRemoved(bodies), jobCount);
    assert.deepEqual(await site.jobKeys(queue), []);
  });
});
