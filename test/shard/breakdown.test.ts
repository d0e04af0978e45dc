import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ShardSettings } from '../../src/shard/settings.ts';
import type { ShardState } from '../../src/shard/shard-hooks.ts';
import type { OperationFilter } from '../simulation/gate.ts';
import { type OpenedShard, openShard, put, settled, textOf, tinyEngine, turns } from './shard-harness.ts';

interface Watched extends OpenedShard {
  readonly states: ShardState[];
}

async function openWatched(settings: Partial<ShardSettings> = {}): Promise<Watched> {
  const states: ShardState[] = [];
  const opened = await openShard(undefined, settings, { hooks: { onState: (state) => states.push(state) } });
  return { ...opened, states };
}

const isValueSync: OperationFilter = ({ kind, path }) => kind === 'sync' && path.startsWith('value/');
const isAnySync: OperationFilter = ({ kind }) => kind === 'sync';
const isWrite: OperationFilter = ({ kind }) => kind === 'write' || kind === 'create';

describe('after a failed fsync', () => {
  test('a second instance takes over and the put is stored once', async () => {
    const { shard, clock, disk, states } = await openWatched();
    await settled(shard.put(put('p0', { a: '0' })), clock);
    disk.failAt(isValueSync, 'eio');
    const result = await settled(shard.put(put('p1', { a: '1', b: '1' })), clock);
    assert.equal(result.records.length, 2);
    assert.deepEqual(states, ['recovering', 'open']);
    assert.equal(await textOf(shard, 'a'), '=1');
    let count = 0;
    for await (const _ of shard.freezer.records()) count++;
    assert.equal(count, 3);
    assert.deepEqual(await settled(shard.close(), clock), { clean: true });
    assert.deepEqual(disk.openHandles, []);
  });

  for (const path of ['checkpoint', 'commit-mark']) {
    test(`the ${path} that can be read is on disk before anything is built on it`, async () => {
      const { shard, clock, disk } = await openWatched();
      await settled(shard.put(put('p0', { a: '0' })), clock);
      const failed = disk.failAt((operation) => operation.kind === 'sync' && operation.path === path, 'eio');
      await settled(shard.put(put('p1', { a: '1' })), clock);
      while (failed.hits === 0 || shard.state !== 'open') {
        clock.advance(10);
        await turns();
      }
      assert.deepEqual(disk.crash('synced').bytesOf(path), disk.bytesOf(path));
      await settled(shard.close(), clock);
    });
  }

  test('what was appended is stored again before what came later', async () => {
    const { shard, clock, disk } = await openWatched();
    await settled(shard.put(put('p0', { a: '0', z: '0' })), clock);
    const isKeyWrite: OperationFilter = ({ kind, path }) => kind === 'write' && path.startsWith('key/');
    const write = disk.hold(isKeyWrite);
    disk.failAt(isKeyWrite, 'eio');
    const appended = shard.put(put('p1', { a: '1' }));
    await turns();
    clock.advance(5);
    await write.reached;
    const read = disk.hold(({ kind, path }) => kind === 'read' && path.startsWith('value/'));
    const appending = shard.put(put('p2', { z: '2' }, { ifExists: 'keep' }));
    await read.reached;
    const waiting = shard.put(put('p3', { a: '3' }));
    write.release();
    await turns();
    read.release();
    await settled(Promise.all([appended, appending, waiting]), clock);
    assert.equal(await textOf(shard, 'a'), '=3');
    await settled(shard.close(), clock);
  });

  test('lookups are answered while the second instance is not there yet', async () => {
    const { shard, clock, disk } = await openWatched();
    await settled(shard.put(put('p0', { a: '0' })), clock);
    const failing = disk.failAt(isAnySync, 'eio', Number.POSITIVE_INFINITY);
    const pending = shard.put(put('p1', { a: '1', c: '1' }));
    await turns();
    clock.advance(5);
    await turns();
    assert.equal(shard.state, 'recovering');
    assert.equal(await textOf(shard, 'a'), '=0', 'the version that is committed');
    assert.equal(await textOf(shard, 'c'), 'missing');
    failing.disarm();
    await settled(pending, clock);
    assert.equal(await textOf(shard, 'a'), '=1');
    await settled(shard.close(), clock);
  });

  test('attempts are bounded: then puts are refused and lookups go on', async () => {
    const { shard, clock, disk, states } = await openWatched({ reopenAttemptsMax: 3 });
    await settled(shard.put(put('p0', { a: '0' })), clock);
    disk.failAt(isAnySync, 'eio', Number.POSITIVE_INFINITY);
    await assert.rejects(settled(shard.put(put('p1', { b: '1' })), clock), { code: 'failed', fatal: true });
    assert.deepEqual(states, ['recovering', 'failed']);
    await assert.rejects(shard.put(put('p2', { b: '1' })), { code: 'failed' });
    assert.equal(await textOf(shard, 'a'), '=0');
    assert.deepEqual(await settled(shard.close(), clock), { clean: false });
    assert.deepEqual(disk.openHandles, []);
    assert.equal(clock.pendingTimers, 0);
  });

  test('closing does not wait for a disk that never comes back', async () => {
    const { shard, clock, disk, lock } = await openWatched({ reopenDelayMs: 1000 });
    disk.failAt(isAnySync, 'eio', Number.POSITIVE_INFINITY);
    const pending = assert.rejects(shard.put(put('p1', { b: '1' })), { code: 'closing', retriable: true });
    await turns();
    clock.advance(5);
    await turns();
    assert.equal(shard.state, 'recovering');
    assert.deepEqual(await shard.close(), { clean: false });
    await pending;
    assert.equal(lock.held, false);
    assert.equal(clock.pendingTimers, 0);
    assert.deepEqual(disk.openHandles, []);
  });

  test('of the last sync the next opening recovers', async () => {
    const { shard, clock, disk } = await openWatched();
    await settled(shard.put(put('p0', { a: '0' })), clock);
    const failing = disk.failAt(({ kind, path }) => kind === 'sync' && path === 'checkpoint', 'eio');
    assert.deepEqual(await settled(shard.close(), clock), { clean: false });
    assert.equal(failing.hits, 1);
    const again = await openShard(disk.crash('synced'));
    assert.equal(await textOf(again.shard, 'a'), '=0');
    await again.shard.close();
  });

  test('lookups do not read a table that another instance takes back', async () => {
    const engine = { ...tinyEngine, tableResizeFrequency: 1 };
    const { shard, clock, disk } = await openWatched({ engine, syncIntervalMs: 1_000_000 });
    const keys = Array.from({ length: 16 }, (_, index) => `k${index}`);
    const fails = disk.failAt(({ kind, path }) => kind === 'write' && path === 'checkpoint', 'eio');
    const puts = Promise.all(keys.map((key) => shard.put(put(key, { [key]: key }))));
    // The failed sync had doubled the table. The next instance cuts it and doubles it again: for a moment its new half is empty.
    const doubled = 8 + 4 * 58;
    const hold = disk.hold(
      ({ kind, path, offset }) => fails.hits > 0 && kind === 'write' && path.startsWith('table/') && offset === doubled,
    );
    await settled(Promise.race([puts, hold.reached]), clock);
    await hold.reached;
    await turns();
    assert.equal(shard.state, 'recovering');
    const early = keys.map((key) => textOf(shard, key));
    await turns();
    hold.release();
    await settled(puts, clock);
    assert.deepEqual(
      await Promise.all(early),
      keys.map((key) => `=${key}`),
    );
    await settled(shard.close(), clock);
  });

  test('lookups of a shard whose sync failed go on while nobody takes anything back', async () => {
    const { shard, clock, disk } = await openWatched({ syncIntervalMs: 1000 });
    await settled(shard.put(put('p0', { a: '0' })), clock);
    const full = disk.failAt(
      ({ kind, path }) => kind === 'write' && path !== 'lock',
      'enospc',
      Number.POSITIVE_INFINITY,
    );
    clock.advance(1000);
    await turns();
    assert.equal(shard.state, 'disk-full');
    assert.equal(await textOf(shard, 'a'), '=0');
    full.disarm();
    clock.advance(1000);
    await turns();
    assert.equal(shard.state, 'open');
    await settled(shard.close(), clock);
  });
});

describe('when the disk is full', () => {
  test('puts wait, lookups go on, and the shard goes on by itself when there is space', async () => {
    const { shard, clock, disk, states } = await openWatched();
    await settled(shard.put(put('p0', { a: '0' })), clock);
    const full = disk.failAt(isWrite, 'enospc', Number.POSITIVE_INFINITY);
    const waiting = [put('p1', { a: '1' }), put('p2', { b: '2' })].map((request) => shard.put(request));
    await turns();
    clock.advance(5);
    await turns();
    assert.equal(shard.state, 'disk-full');
    for (let minute = 0; minute < 10; minute++) {
      clock.advance(60_000);
      await turns(4);
      assert.equal(shard.state, 'disk-full');
      assert.equal(await textOf(shard, 'a'), '=0');
    }
    full.disarm();
    const results = await settled(Promise.all(waiting), clock);
    assert.deepEqual(
      results.map(({ records }) => records.length),
      [1, 1],
    );
    assert.deepEqual(states, ['disk-full', 'recovering', 'open']);
    assert.equal(await textOf(shard, 'a'), '=1');
    assert.ok(!disk.files().includes('space-probe'));
    assert.deepEqual(await settled(shard.close(), clock), { clean: true });
  });

  test('a crash while space was tried leaves nothing for long', async () => {
    const { shard, clock, disk } = await openWatched();
    await settled(shard.put(put('p0', { a: '0' })), clock);
    disk.place('space-probe', Buffer.alloc(100));
    const again = await openShard(disk.crash('synced'));
    assert.ok(!again.disk.files().includes('space-probe'));
    await again.shard.close();
  });

  test('closing gives the puts back', async () => {
    const { shard, clock, disk } = await openWatched();
    disk.failAt(isWrite, 'enospc', Number.POSITIVE_INFINITY);
    const pending = assert.rejects(shard.put(put('p1', { a: '1' })), { code: 'closing' });
    await turns();
    clock.advance(5);
    await turns();
    assert.deepEqual(await settled(shard.close(), clock), { clean: false });
    await pending;
  });
});
