import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../src/base/logger.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { decodeLookupJob, encodeLookupJob } from '../../src/protocol/lookup-job.ts';
import { parseClientId } from '../../src/protocol/names.ts';
import { answerLookup } from '../../src/queue/lookup-answer.ts';
import { ReadGate } from '../../src/queue/read-gate.ts';
import { SliceSizes } from '../../src/queue/slice-sizes.ts';
import { ThrottledLog } from '../../src/queue/throttled-log.ts';
import { ManualClock } from '../simulation/manual-clock.ts';
import { FakeShard } from './fake-shard.ts';

/** How many turns the event loop took while a lookup of so many keys was answered, and in how many slices it was. */
async function turnsFor(keyCount: number): Promise<{ readonly turns: number; readonly slices: number }> {
  const keys = Array.from({ length: keyCount }, (_, index) => `order/${index}`);
  const replyTo = { kind: 'client', client: parseClientId('one') } as const;
  const job = decodeLookupJob(encodeLookupJob({ id: 'a', replyTo, keys }), defaultLimits);
  const clock = new ManualClock();
  const deps = {
    shard: new FakeShard(),
    clock,
    limits: defaultLimits,
    log: new ThrottledLog(silentLogger, clock),
    gate: new ReadGate(1),
    sizes: new SliceSizes(),
  };
  let turns = 0;
  let isAnswering = true;
  const count = (): void => {
    turns++;
    if (isAnswering) setImmediate(count);
  };
  setImmediate(count);
  let answered = 0;
  let slices = 0;
  for await (const results of answerLookup(job, clock.wallMs() + 1000, 0, deps)) {
    slices++;
    answered += results.length;
    for (const { outcome } of results) assert.equal(outcome, 'missing');
  }
  isAnswering = false;
  assert.equal(answered, keyCount);
  return { turns, slices };
}

test('a lookup of one slice is answered in the turn in which it was read', async () => {
  assert.deepEqual(await turnsFor(1), { turns: 0, slices: 1 });
  assert.deepEqual(await turnsFor(16), { turns: 0, slices: 1 });
});

test('between two slices of a lookup the event loop turns', async () => {
  const { turns, slices } = await turnsFor(600);
  assert.ok(slices > 2, `${slices} slices`);
  assert.ok(turns >= slices - 1, `${turns} turns for ${slices} slices`);
});
