import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Round } from '../../src/shard/group-commit.ts';
import type { ShardSettings } from '../../src/shard/settings.ts';
import type { Shard } from '../../src/shard/shard.ts';
import { type OpenedShard, openShard, put, settled, textOf, tinyEngine, turns } from './shard-harness.ts';

const wideEngine = { ...tinyEngine, valueTargetSize: 1_000_000, tableInitialSize: 4096, tableChangesMax: 4096 };

interface Watched extends OpenedShard {
  readonly rounds: Round[];
}

async function openWatched(settings: Partial<ShardSettings> = {}): Promise<Watched> {
  const rounds: Round[] = [];
  const opened = await openShard(
    undefined,
    { engine: wideEngine, syncIntervalMs: 1_000_000, ...settings },
    { hooks: { onRound: (round) => rounds.push(round) } },
  );
  return { ...opened, rounds };
}

/** A shard whose last round settled more puts than a test will make. */
async function openBusy(settings: Partial<ShardSettings>): Promise<Watched> {
  const opened = await openWatched(settings);
  const { shard, disk, clock, rounds } = opened;
  const hold = disk.hold(({ kind, path }) => kind === 'sync' && path.startsWith('value/'));
  const first = shard.put(put('busy', { busy: '1' }));
  await hold.reached;
  const others = Array.from({ length: 12 }, (_, at) => shard.put(put(`busy-${at}`, { [`busy-${at}`]: '1' })));
  await turns();
  hold.release();
  await settled(Promise.all([first, ...others]), clock);
  assert.equal(rounds.at(-1)?.putCount, 12);
  rounds.length = 0;
  return opened;
}

/** Whether a put has resolved, without waiting for it. */
function watch(promise: Promise<unknown>): { readonly done: boolean } {
  const state = { done: false };
  promise.then(
    () => {
      state.done = true;
    },
    () => {},
  );
  return state;
}

describe('group commit', () => {
  test('commits the put that finds an idle shard at once', async () => {
    const { shard, clock, rounds } = await openWatched({ commitDelayMs: 5 });
    for (const id of ['p1', 'p2']) {
      const only = watch(shard.put(put(id, { [id]: '1' })));
      await turns();
      assert.ok(only.done, id);
    }
    assert.deepEqual(
      rounds.map(({ kind, putCount }) => [kind, putCount]),
      [
        ['commit', 1],
        ['commit', 1],
      ],
    );
    await settled(shard.close(), clock);
  });

  test('lets a put wait for as many as the last round settled, and no longer than the delay', async () => {
    const { shard, clock, rounds } = await openBusy({ commitDelayMs: 5 });
    clock.advance(2);
    const first = watch(shard.put(put('p1', { a: '1' })));
    await turns();
    clock.advance(2);
    const second = watch(shard.put(put('p2', { b: '2' })));
    await turns();
    assert.deepEqual([first.done, second.done, rounds.length], [false, false, 0]);
    clock.advance(1);
    await turns();
    assert.deepEqual([first.done, second.done], [true, true]);
    assert.deepEqual(
      rounds.map(({ kind, putCount }) => [kind, putCount]),
      [['commit', 2]],
    );
    // Two are expected now, and here they are.
    const both = ['p3', 'p4'].map((id) => watch(shard.put(put(id, { [id]: '1' }))));
    await turns();
    assert.ok(both.every(({ done }) => done));
    await settled(shard.close(), clock);
  });

  test('starts at once when the bytes, the records or the puts that wait reach their limit', async () => {
    const cases: readonly { limit: Partial<ShardSettings>; waitingCount: number; records: number; bytes: number }[] = [
      { limit: { commitBytesMax: 2000 }, waitingCount: 2, records: 1, bytes: 700 },
      { limit: { commitRecordsMax: 20 }, waitingCount: 2, records: 8, bytes: 1 },
      { limit: { commitPutsMax: 10 }, waitingCount: 9, records: 1, bytes: 1 },
    ];
    for (const { limit, waitingCount, records, bytes } of cases) {
      const { shard, clock } = await openBusy(limit);
      const putNext = (id: string): { readonly done: boolean } => {
        const keys = Array.from({ length: records }, (_, at): [string, string] => [`${id}/${at}`, 'x'.repeat(bytes)]);
        return watch(shard.put(put(id, keys)));
      };
      const puts = Array.from({ length: waitingCount }, (_, at) => putNext(`p${at}`));
      await turns();
      assert.ok(!puts[0]?.done, JSON.stringify(limit));
      puts.push(putNext('last'));
      await turns();
      const allDone = puts.every(({ done }) => done);
      assert.ok(allDone, JSON.stringify(limit));
      await settled(shard.close(), clock);
    }
  });

  test('resolves no put before its fsyncs returned', async () => {
    const { shard, clock, disk } = await openWatched();
    for (const partition of ['key', 'value', 'commit-mark']) {
      const hold = disk.hold(({ kind, path }) => kind === 'sync' && path.startsWith(partition));
      const pending = watch(shard.put(put(partition, { [partition]: '1' })));
      await turns();
      clock.advance(5);
      await hold.reached;
      await turns();
      assert.equal(pending.done, false, partition);
      hold.release();
      await turns();
      assert.equal(pending.done, true, partition);
    }
    await settled(shard.close(), clock);
  });

  test('collects the next commit while one waits for its fsync', async () => {
    const { shard, clock, disk, rounds } = await openWatched();
    const hold = disk.hold(({ kind, path }) => kind === 'sync' && path.startsWith('value/'));
    const first = watch(shard.put(put('p1', { a: '1' })));
    await turns();
    clock.advance(5);
    await hold.reached;
    const others = ['p2', 'p3', 'p4'].map((id) => watch(shard.put(put(id, { [id]: '1' }))));
    await turns();
    clock.advance(5);
    await turns();
    assert.equal(first.done, false);
    hold.release();
    await turns();
    assert.ok([first, ...others].every(({ done }) => done));
    assert.deepEqual(
      rounds.map(({ putCount }) => putCount),
      [1, 3],
    );
    await settled(shard.close(), clock);
  });

  test('numbers its commits', async () => {
    const { shard, clock } = await openWatched();
    const first = await settled(shard.put(put('p1', { a: '1' })), clock);
    const second = await settled(shard.put(put('p2', { b: '1' })), clock);
    assert.equal(second.commit, first.commit + 1);
    await settled(shard.close(), clock);
  });

  test('refuses what would make too much wait, and takes it later', async () => {
    const { shard, clock } = await openWatched({ waitingBytesMax: 200, waitingRecordsMax: 10 });
    const first = shard.put(put('p1', { a: 'x'.repeat(150) }));
    await assert.rejects(shard.put(put('p2', { b: 'x'.repeat(50) })), {
      code: 'overloaded',
      retriable: true,
      details: { limit: 'waitingBytesMax', wanted: 238, max: 200 },
    });
    await settled(first, clock);
    await settled(shard.put(put('p2', { b: 'x'.repeat(50) })), clock);
    const many = Array.from({ length: 11 }, (_, index): [string, string] => [`k${index}`, '']);
    await settled(shard.put(put('alone', many.slice(0, 10))), clock);
    const waiting = shard.put(put('p3', { c: '' }));
    await assert.rejects(shard.put(put('p4', many.slice(0, 10))), { code: 'overloaded' });
    await settled(waiting, clock);
    await settled(shard.close(), clock);
  });

  test('refuses what can never be stored, before anything of it is', async () => {
    const { shard, clock } = await openWatched();
    const bad: readonly [Parameters<Shard['put']>[0], string][] = [
      [put('x'.repeat(257), { a: '1' }), 'limit-exceeded'],
      [put('p', { ['k'.repeat(65_536)]: '1' }), 'limit-exceeded'],
      [put('p', []), 'invalid-request'],
      [
        put(
          'p',
          Array.from({ length: 1025 }, (_, index): [string, string] => [`k${index}`, '']),
        ),
        'limit-exceeded',
      ],
    ];
    for (const [request, code] of bad) await assert.rejects(shard.put(request), { code });
    const [good] = put('p', { a: '1' }).records;
    assert.ok(good !== undefined);
    const unpaired = { ...put('p', {}), records: [good, { ...good, key: 'half \ud800' }] };
    await assert.rejects(shard.put(unpaired), { code: 'invalid-request' });
    assert.equal(await textOf(shard, 'a'), 'missing');
    assert.deepEqual(shard.waiting, { puts: 0, records: 0, bytes: 0 });
    await settled(shard.close(), clock);
  });

  test('commits what waits when the shard is closed, and takes no more', async () => {
    const { shard, clock, disk } = await openWatched({ commitDelayMs: 10_000 });
    const pending = shard.put(put('p1', { a: '1' }));
    const closing = shard.close();
    await assert.rejects(shard.put(put('p2', { b: '1' })), { code: 'closing', retriable: true });
    assert.deepEqual(await closing, { clean: true });
    assert.equal((await pending).records[0]?.outcome, 'stored');
    assert.equal(clock.pendingTimers, 0);
    assert.deepEqual(disk.openHandles, []);
    assert.deepEqual(await shard.close(), { clean: true }, 'closing twice is closing once');
  });
});

describe('syncs', () => {
  test('come an interval after the last one, and only when something was put', async () => {
    const { shard, clock, rounds } = await openWatched({ syncIntervalMs: 1000 });
    const before = shard.checkpoint.epoch;
    clock.advance(5000);
    await turns();
    assert.equal(shard.checkpoint.epoch, before, 'nothing was put');

    await settled(shard.put(put('p1', { a: '1' })), clock);
    await turns();
    assert.equal(shard.checkpoint.epoch, before + 1);
    await settled(shard.put(put('p2', { a: '1' })), clock);
    clock.advance(990);
    await turns();
    assert.equal(shard.checkpoint.epoch, before + 1, 'the interval is not over');
    clock.advance(10);
    await turns();
    assert.equal(shard.checkpoint.epoch, before + 2);
    assert.deepEqual(rounds.filter(({ kind }) => kind === 'sync').length, 2);
    await settled(shard.close(), clock);
  });

  test('are not moved by the wall clock', async () => {
    const { shard, clock } = await openWatched({ syncIntervalMs: 1000 });
    const before = shard.checkpoint.epoch;
    await settled(shard.put(put('p1', { a: '1' })), clock);
    for (const day of [1, -2]) {
      clock.jumpWall(day * 86_400_000);
      clock.advance(300);
      await turns();
      assert.equal(shard.checkpoint.epoch, before);
    }
    clock.advance(1000);
    await turns();
    assert.equal(shard.checkpoint.epoch, before + 1);
    await settled(shard.close(), clock);
  });

  test('come early when half as many records as buckets were put', async () => {
    const engine = { ...wideEngine, tableInitialSize: 16, tableResizeFrequency: 200 };
    const { shard, clock } = await openWatched({ engine });
    const before = shard.checkpoint.epoch;
    const records = Array.from({ length: 9 }, (_, index): [string, string] => [`k${index}`, '']);
    await settled(shard.put(put('p1', records.slice(0, 8))), clock);
    await turns();
    assert.equal(shard.checkpoint.epoch, before);
    await settled(shard.put(put('p2', records.slice(8))), clock);
    await turns();
    assert.equal(shard.checkpoint.epoch, before + 1);
    await settled(shard.close(), clock);
  });

  test('make room when the changed buckets would not fit in memory', async () => {
    const engine = { ...wideEngine, tableInitialSize: 4096, tableChangesMax: 16, tableResizeFrequency: 200 };
    const { shard, clock } = await openWatched({ engine, commitDelayMs: 0 });
    for (let turn = 0; turn < 10; turn++) {
      const records = Array.from({ length: 4 }, (_, index): [string, string] => [`k${turn}.${index}`, 'v']);
      await settled(Promise.all([0, 1].map((half) => shard.put(put(`p${turn}.${half}`, records)))), clock);
    }
    assert.ok(shard.checkpoint.epoch > 3);
    assert.equal(await textOf(shard, 'k0.0'), '=v');
    await settled(shard.close(), clock);
  });

  test('tell of a checkpoint only when it is durable, and do not wait for who listens', async () => {
    const told: number[] = [];
    const opened = await openShard(
      undefined,
      {},
      {
        hooks: {
          onCheckpoint: ({ epoch, checkpoint }) => {
            told.push(epoch);
            assert.equal(Number(checkpoint.readBigUInt64BE()), epoch);
            throw new Error('a listener that fails');
          },
        },
      },
    );
    const { shard, clock, disk } = opened;
    assert.deepEqual(told, [1], 'once after opening');
    const hold = disk.hold(({ kind, path }) => kind === 'sync' && path === 'checkpoint');
    const pending = shard.put(put('p1', { a: '1' }));
    await turns();
    clock.advance(1000);
    await hold.reached;
    await turns();
    assert.deepEqual(told, [1]);
    hold.release();
    await settled(pending, clock);
    await turns();
    assert.deepEqual(told, [1, 2]);
    await settled(shard.close(), clock);
    assert.deepEqual(told, [1, 2, 3]);
  });

  test('count the records of all sections', async () => {
    const { shard, clock } = await openShard();
    for (let index = 0; index < 12; index++) {
      await settled(shard.put(put(`p${index}`, { [`k${index}`]: 'x'.repeat(100), other: 'y' })), clock);
    }
    await settled(shard.close(), clock);
    assert.equal(shard.checkpoint.records, 24);
    assert.ok(shard.freezer.end.section > 1);
  });
});
