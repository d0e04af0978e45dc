import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { silentLogger } from '../../src/base/logger.ts';
import { type DiskSpace, DiskWatch } from '../../src/service/disk-watch.ts';
import { ManualClock } from '../simulation/manual-clock.ts';

const settings = { path: tmpdir(), pauseBelowBytes: 100, resumeAboveBytes: 200, checkIntervalMs: 1000 };

test('tells once that the disk is low and once that it has room, with a gap between the two', async () => {
  const clock = new ManualClock();
  const changes: boolean[] = [];
  let free = 100;
  let looked = Promise.withResolvers<void>();
  const space = async (): Promise<DiskSpace> => {
    queueMicrotask(() => queueMicrotask(looked.resolve));
    return { free, size: 1000 };
  };
  const watch = new DiskWatch(settings, { clock, logger: silentLogger, space }, (low) => changes.push(low));
  await watch.start();
  const low: boolean[] = [];
  for (free of [99, 50, 150, 199, 200, 150, 99]) {
    looked = Promise.withResolvers();
    clock.advance(settings.checkIntervalMs);
    await looked.promise;
    await new Promise(setImmediate);
    low.push(watch.low);
  }
  assert.deepEqual(low, [true, true, true, true, false, false, true]);
  assert.deepEqual(changes, [true, false, true]);
  watch.stop();
  assert.equal(clock.pendingTimers, 0);
});

test('changes nothing while the disk does not answer', async () => {
  const clock = new ManualClock();
  const changes: boolean[] = [];
  const space = (): Promise<DiskSpace> => Promise.reject(new Error('EIO'));
  const watch = new DiskWatch(settings, { clock, logger: silentLogger, space }, (low) => changes.push(low));
  await watch.start();
  assert.deepEqual([changes, watch.space, clock.pendingTimers], [[], undefined, 1]);
  watch.stop();
});

test('asks the file system itself', async () => {
  const watch = new DiskWatch(settings, { clock: new ManualClock(), logger: silentLogger }, () => {});
  await watch.start();
  const { free, size } = watch.space ?? { free: 0, size: 0 };
  assert.ok(free > 0 && size > free, `${free} of ${size}`);
  watch.stop();
});
