import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { StoredRecord } from '../../src/client/put-many.ts';
import type { ClientRecord } from '../../src/client/record.ts';
import { ProtocolError } from '../../src/protocol/protocol-error.ts';
import { ManualClock } from '../simulation/manual-clock.ts';
import { clientOf, store } from './bare-worker.ts';
import { assertFails, Fixture, until } from './client-fixture.ts';

let fixture: Fixture;
before(async () => {
  fixture = await Fixture.start({ appendOnly: 'no' });
});
afterEach(() => fixture.reset());
after(() => fixture.stop());

function* numbered(count: number, size = 10): Generator<ClientRecord> {
  for (let index = 0; index < count; index += 1) yield { key: `k${index}`, value: Buffer.alloc(size, index) };
}

describe('putMany', () => {
  it('stores every record once, in jobs bounded by count, and tells where each one is', async () => {
    const worker = await fixture.worker();
    const client = await fixture.client();
    const stored: StoredRecord[] = [];
    const summary = await client.putMany(numbered(1050), {
      recordCountMax: 100,
      onStored: (records) => stored.push(...records),
    });
    assert.deepEqual(summary, { recordCount: 1050, jobCount: 11, outcomes: { stored: 1050, unchanged: 0, kept: 0 } });
    assert.equal(worker.kept.size, 1050);
    assert.deepEqual(
      stored.map(({ position }) => position).sort((a, b) => a - b),
      [...Array(1050).keys()],
    );
    for (const { position, key, cursor } of stored) {
      assert.deepEqual([key, cursor], [`k${position}`, worker.kept.get(key)?.cursor]);
    }
  });

  it('fills jobs up to their bytes, and gives a larger record a job of its own', async () => {
    const worker = await fixture.worker();
    const client = await fixture.client();
    const values = [...Array(20).fill(1000), 50_000, ...Array(20).fill(1000)];
    await client.putMany(
      values.map((size, index) => ({ key: `${index}`, value: Buffer.alloc(size) })),
      { jobBytes: 8000 },
    );
    const sizes = worker.puts.map(({ records }) => records.reduce((sum, { payload }) => sum + payload.length, 0));
    assert.ok(
      sizes.every((size) => size <= 6000 || size === 50_000),
      `${sizes}`,
    );
    assert.ok(sizes.length <= 10, `${sizes}`);
  });

  it('passes ifExists on, and counts each outcome', async () => {
    await fixture.worker({
      put: (job, worker) => {
        const outcome = job.ifExists === 'keep' ? 'kept' : 'unchanged';
        const records = job.records.map(() => ({ cursor: `0:${'00'.repeat(20)}`, outcome }) as const);
        return worker.sendReceipts(clientOf(job), [{ id: job.id ?? '', shard: 0, commit: 1, records }]);
      },
    });
    const client = await fixture.client();
    const kept = await client.putMany(numbered(5), { ifExists: 'keep' });
    assert.deepEqual(kept.outcomes, { stored: 0, unchanged: 0, kept: 5 });
    const same = await client.putMany(numbered(5), { ifExists: 'skip-same' });
    assert.deepEqual(same.outcomes, { stored: 0, unchanged: 5, kept: 0 });
  });

  it('resolves at once for a source without records', async () => {
    const client = await fixture.client();
    assert.equal((await client.putMany([])).jobCount, 0);
  });

  it('sends what a slow source has given when its linger is over', async () => {
    const clock = new ManualClock();
    const worker = await fixture.worker();
    const client = await fixture.client({}, { clock });
    const gate = Promise.withResolvers<void>();
    const slow = (async function* () {
      yield* numbered(2);
      await gate.promise;
      yield { key: 'last', value: '' };
    })();
    const done = client.putMany(slow, { lingerMs: 20 });
    await until(async () => {
      clock.advance(1);
      await fixture.redis.ping();
      return worker.puts.length === 1;
    });
    assert.deepEqual(
      worker.puts[0]?.records.map(({ key }) => key),
      ['k0', 'k1'],
    );
    gate.resolve();
    assert.deepEqual((await done).jobCount, 2);
  });

  it('reads no further while its jobs are unanswered', async () => {
    const held: (() => Promise<void>)[] = [];
    await fixture.worker({ put: (job, worker) => void held.push(() => store(job, worker)) });
    const client = await fixture.client();
    let readCount = 0;
    const source = (function* () {
      for (const record of numbered(100)) {
        readCount += 1;
        yield record;
      }
    })();
    const done = client.putMany(source, { recordCountMax: 1, inFlightJobCountMax: 4 });
    await until(async () => (await fixture.redis.ping()) === 'PONG' && held.length === 4);
    assert.ok(readCount <= 5, `${readCount} were read`);
    await until(async () => {
      await Promise.all(held.splice(0).map((answerIt) => answerIt()));
      return readCount === 100;
    });
    await until(async () => {
      await Promise.all(held.splice(0).map((answerIt) => answerIt()));
      await fixture.redis.ping();
      return client.pendingCount === 0;
    });
    assert.equal((await done).recordCount, 100);
  });

  it('stops at the first refusal, throws it, and closes the source', async () => {
    let jobCount = 0;
    await fixture.worker({
      put: (job, worker) => {
        jobCount += 1;
        if (jobCount !== 3) return store(job, worker);
        const error = { code: 'key-exists', message: 'there' };
        return worker.sendReceipts(clientOf(job), [{ id: job.id ?? '', shard: 0, error }]);
      },
    });
    const client = await fixture.client();
    let closed = false;
    const source = (function* () {
      try {
        yield* numbered(1_000_000);
      } finally {
        closed = true;
      }
    })();
    const error = await assertFails('refused', client.putMany(source, { recordCountMax: 10, inFlightJobCountMax: 2 }));
    assert.equal(error.details.reason, 'key-exists');
    assert.ok(closed && jobCount < 10, `${jobCount} jobs`);
    assert.equal(client.pendingCount, 0);
  });

  it('throws what the source throws, and what is wrong with a record, by its position', async () => {
    const worker = await fixture.worker();
    const client = await fixture.client();
    const failing = (async function* () {
      yield* numbered(3);
      throw new RangeError('disk gone');
    })();
    await assert.rejects(client.putMany(failing), RangeError);
    const wrong = [...numbered(3), { key: 'k', value: '\ud800' }, ...numbered(3)];
    await assert.rejects(
      client.putMany(wrong),
      (error) => error instanceof ProtocolError && error.details.field === 'records[3].value',
    );
    assert.equal(worker.puts.length, 0);
  });

  it('ends when its signal is aborted, even while the source gives nothing', async () => {
    const client = await fixture.client();
    const controller = new AbortController();
    const waiting = Promise.withResolvers<void>();
    const silent = (async function* (): AsyncGenerator<ClientRecord> {
      waiting.resolve();
      await new Promise<never>(() => {});
    })();
    const done = client.putMany(silent, { signal: controller.signal });
    await waiting.promise;
    controller.abort();
    await assertFails('aborted', done);
    await assertFails('aborted', client.putMany(numbered(3), { signal: controller.signal }));
    assert.equal(await client.backlogCount(), 0);
  });
});
