import assert from 'node:assert/strict';
import { describe, mock, test } from 'node:test';
import type { PutRequest } from '../../src/shard/put-request.ts';
import { type OpenedShard, openShard, put, settled, turns } from './shard-harness.ts';

const versionCount = 60;
const hourMs = 3_600_000;

/** A shard with many versions of one key, `v0` the oldest. */
async function longChain(): Promise<OpenedShard> {
  const opened = await openShard();
  for (let index = 0; index < versionCount; index += 10) {
    const some = Array.from({ length: 10 }, (_, at) =>
      opened.shard.put(put(`v${index + at}`, { hot: `${index + at}` })),
    );
    await settled(Promise.all(some), opened.clock);
  }
  return opened;
}

/** Counts the walks through chains, and the versions that they meet. */
function countWalks({ shard }: OpenedShard): { walks: number; versions: number } {
  const counts = { walks: 0, versions: 0 };
  const versions = shard.freezer.versions.bind(shard.freezer);
  mock.method(shard.freezer, 'versions', async function* (key: Uint8Array) {
    counts.walks++;
    for await (const version of versions(key)) {
      counts.versions++;
      yield version;
    }
  });
  return counts;
}

function again(putId: string, more: Partial<PutRequest> = {}): PutRequest {
  return { ...put(putId, { hot: 'x' }, { redelivered: true }), ...more };
}

async function outcomesOf({ shard, clock }: OpenedShard, requests: readonly PutRequest[]): Promise<string[]> {
  const results = await settled(Promise.all(requests.map((request) => shard.put(request))), clock);
  return results.map(({ records }) => records.map(({ outcome }) => outcome).join());
}

describe('puts of one key that are delivered again', () => {
  test('share one walk through its versions, all of a batch', async () => {
    const opened = await longChain();
    const counts = countWalks(opened);
    const requests = ['v3', 'new1', 'v40', 'new2', 'v3'].map((putId) => again(putId));
    assert.deepEqual(await outcomesOf(opened, requests), ['unchanged', 'stored', 'unchanged', 'stored', 'unchanged']);
    assert.deepEqual(counts, { walks: 1, versions: versionCount });
    await settled(opened.shard.close(), opened.clock);
  });

  test('end the walk with the last that is found', async () => {
    const opened = await longChain();
    const counts = countWalks(opened);
    assert.deepEqual(await outcomesOf(opened, [again('v58'), again('v55')]), ['unchanged', 'unchanged']);
    assert.deepEqual(counts, { walks: 1, versions: 5 });
    await settled(opened.shard.close(), opened.clock);
  });

  test('are not looked for among versions that are older than they are', async () => {
    const opened = await longChain();
    opened.clock.advance(30 * hourMs);
    const createdAtMs = opened.clock.wallMs();
    assert.deepEqual(await outcomesOf(opened, [put('young', { hot: 'y' })]), ['stored']);
    const counts = countWalks(opened);
    const requests = [again('lost', { createdAtMs }), again('young', { createdAtMs })];
    assert.deepEqual(await outcomesOf(opened, requests), ['stored', 'unchanged']);
    assert.equal(counts.versions, 2);
    await settled(opened.shard.close(), opened.clock);
  });

  test('are found a day before the time that their producer says', async () => {
    const opened = await longChain();
    const aheadMs = opened.clock.wallMs() + 24 * hourMs;
    assert.deepEqual(await outcomesOf(opened, [again('v0', { createdAtMs: aheadMs })]), ['unchanged']);
    opened.clock.advance(24 * hourMs);
    assert.deepEqual(await outcomesOf(opened, [again('v0', { createdAtMs: aheadMs })]), ['unchanged']);
    const farAhead = again('v0', { createdAtMs: aheadMs + 1000 * hourMs });
    assert.deepEqual(await outcomesOf(opened, [farAhead]), ['unchanged'], 'no put is newer than now');
    await settled(opened.shard.close(), opened.clock);
  });

  test('are not waited for by a shard that closes, and refused alone', async () => {
    const opened = await longChain();
    const { shard, clock } = opened;
    const read = Promise.withResolvers<void>();
    const versions = shard.freezer.versions.bind(shard.freezer);
    let met = 0;
    mock.method(shard.freezer, 'versions', async function* (key: Uint8Array) {
      for await (const version of versions(key)) {
        if (++met > 2) await read.promise;
        yield version;
      }
    });
    const pending = [shard.put(again('lost')), shard.put(put('other', { cold: 'x' }))];
    const results = Promise.allSettled(pending);
    while (met < 3) await turns(1);
    const closing = shard.close();
    read.resolve();
    await settled(closing, clock);
    const [lost, other] = await results;
    assert.equal(lost?.status === 'rejected' && lost.reason.code, 'closing');
    assert.equal(lost?.status === 'rejected' && lost.reason.retriable, true);
    assert.equal(other?.status, 'fulfilled');
    assert.equal(met, 3);
  });
});
