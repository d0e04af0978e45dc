import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openShard, put, settled, textOf } from './shard-harness.ts';

describe('a shard', () => {
  test('finds what was put, also after it was closed and opened again', async () => {
    const { shard, disk, clock, lock } = await openShard();
    const result = await settled(shard.put(put('p1', { a: '1', b: '2' })), clock);
    assert.deepEqual(
      result.records.map(({ outcome }) => outcome),
      ['stored', 'stored'],
    );
    assert.equal(await textOf(shard, 'a'), '=1');
    assert.equal(await textOf(shard, 'c'), 'missing');
    assert.deepEqual(await shard.close(), { clean: true });
    assert.equal(lock.held, false);
    assert.deepEqual(disk.openHandles, []);
    assert.equal(clock.pendingTimers, 0);

    const again = await openShard(disk);
    assert.equal(await textOf(again.shard, 'b'), '=2');
    assert.equal(again.shard.instance, shard.instance);
    await again.shard.close();
  });
});
