import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { silentLogger } from '../../src/base/logger.ts';
import { physicalPageSize } from '../../src/blob/page.ts';
import type { Loss } from '../../src/freezer/salvage.ts';
import { inspectShard } from '../../src/shard/inspect.ts';
import { salvageShard } from '../../src/shard/salvage.ts';
import { slotSpacing } from '../../src/shard/two-slot-file.ts';
import { type VerifyReport, verifyShard } from '../../src/shard/verify.ts';
import { ManualClock } from '../simulation/manual-clock.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { FakeLock, openShard, put, settled, textOf, tinyEngine, tinySettings } from './shard-harness.ts';

const recordCount = 30;

/** A shard of several sections and table sizes, with old versions, closed cleanly. */
async function usedShard(engine = tinyEngine): Promise<SimulatedDisk> {
  const { shard, disk, clock } = await openShard(undefined, { engine });
  for (let index = 0; index < recordCount; index += 2) {
    const texts = { [`k${index}`]: `${index} ${'x'.repeat(40)}`, again: `${index}` };
    await settled(shard.put(put(`p${index}`, texts)), clock);
  }
  await settled(shard.close(), clock);
  return disk;
}

function verify(disk: SimulatedDisk, lock = new FakeLock()): Promise<VerifyReport> {
  return verifyShard({ disk, lock, clock: new ManualClock(), logger: silentLogger }, tinySettings);
}

function flipped(whole: SimulatedDisk, path: string, at: number): SimulatedDisk {
  const disk = whole.clone();
  disk.mutate(path, (bytes) => {
    bytes[at] = (bytes[at] ?? 0) ^ 0x10;
    return bytes;
  });
  return disk;
}

describe('verify', () => {
  test('finds nothing wrong with a whole shard, counts it, and leaves it cleanly closed', async () => {
    const disk = await usedShard();
    const report = await verify(disk);
    assert.deepEqual(report.problems, []);
    assert.equal(report.recordCount, recordCount);
    assert.ok(report.sectionCount > 1);
    assert.ok(report.payloadBytes > 40 * (recordCount / 2));
    assert.deepEqual(disk.openHandles, []);
    const { saved } = await inspectShard(disk, tinyEngine, 0);
    assert.equal(saved.clean, true);
    assert.equal(report.shard?.epoch, saved.checkpoint.epoch);
  });

  test('finds nothing wrong with a shard that was killed', async () => {
    const { shard, disk, clock } = await openShard();
    await settled(shard.put(put('p1', { a: '1' })), clock);
    const report = await verify(disk.crash('all'));
    assert.deepEqual([report.problemCount, report.recordCount], [0, 1]);
  });

  test('names the file of a rotten value, and goes on', async () => {
    const disk = await usedShard();
    disk.mutate('value/0000000000000001', (bytes) => bytes.fill(0xff, 40, 42));
    const report = await verify(disk);
    assert.ok(report.recordCount >= recordCount - 1);
    assert.ok(
      report.problems.some((problem) => problem.startsWith('value/0000000000000001 at ')),
      report.problems.join('\n'),
    );
  });

  test('names a flipped bit anywhere in the table, the keys and the values', async () => {
    const whole = await usedShard();
    for (const path of whole.files().filter((file) => /^(table|key|value)\//.test(file))) {
      const size = whole.bytesOf(path).length;
      for (let at = 8; at < size; at += 23) {
        const disk = whole.clone();
        const before = whole.bytesOf(path)[at] ?? 0;
        disk.mutate(path, (bytes) => {
          bytes[at] = before ^ 0x08;
          return bytes;
        });
        const { problemCount } = await verify(disk);
        // A page has room for two checksums and for data behind its end; what is not in use there means nothing.
        if (problemCount === 0) assert.ok(path.startsWith('key/'), `${path} byte ${at}`);
      }
    }
  });

  test('names a flipped bit anywhere in a slot of the two-slot files, and behind it', async () => {
    const whole = await usedShard();
    for (const path of ['checkpoint', 'commit-mark']) {
      for (const slot of [0, slotSpacing]) {
        for (const at of [0, 5, 9, 20, 40, 200, slotSpacing - 1]) {
          const { problems } = await verify(flipped(whole, path, slot + at));
          const named = problems.filter((problem) => problem.startsWith(`${path}: the slot at offset ${slot} `));
          assert.equal(named.length, 1, `${path} ${slot + at}: ${problems.join()}`);
        }
      }
    }
  });

  test('names each file that is shorter or longer than it was written', async () => {
    const whole = await usedShard();
    for (const path of whole.files()) {
      const { length } = whole.bytesOf(path);
      for (const change of [-3, -1, 1, 100]) {
        // The identity ends with a line feed for people: without it nothing is missing.
        if (length + change < 0 || (path === 'identity.json' && change === -1)) continue;
        const disk = whole.clone();
        disk.mutate(path, (bytes) => Buffer.concat([bytes, Buffer.alloc(100)], length + change));
        const { problems } = await verify(disk);
        assert.ok(problems.length > 0, `${path}, ${change} bytes`);
        assert.ok(
          problems.some((problem) => problem.includes(path)),
          `${path}, ${change} bytes: ${problems.join('; ')}`,
        );
        assert.deepEqual(disk.openHandles, []);
      }
    }
  });

  test('names the manifest where it and the sections say different things', async () => {
    const other = await openShard();
    await settled(other.shard.put(put('p', { other: 'x'.repeat(500) })), other.clock);
    await settled(other.shard.put(put('q', { other: 'x'.repeat(300) })), other.clock);
    await settled(other.shard.put(put('r', { other: 'x' })), other.clock);
    await settled(other.shard.close(), other.clock);
    const disk = await usedShard();
    disk.place('sections', other.disk.bytesOf('sections'));
    const { problems } = await verify(disk);
    assert.ok(
      problems.some((problem) => /^(key|value).*expected \(sections\)$/.test(problem)),
      problems.join('; '),
    );
  });

  test('names the table among the suspects where heads are gone that nothing else misses', async () => {
    const disk = await usedShard();
    disk.mutate('table/7461626c65', (bytes) => bytes.fill(0, 8));
    const { problems } = await verify(disk);
    assert.ok(
      problems.some((problem) => problem.includes('table/7461626c65')),
      problems.join('; '),
    );
  });

  test('reports a shard that cannot be opened instead of failing', async () => {
    const disk = await usedShard();
    disk.mutate('checkpoint', (bytes) => bytes.fill(0));
    const report = await verify(disk);
    assert.equal(report.shard, undefined);
    assert.ok(report.problems.some((problem) => problem.includes('checkpoint')));
    assert.equal(report.recordCount, recordCount);
    assert.deepEqual(disk.openHandles, []);
  });

  test('makes no shard where there is none', async () => {
    const disk = new SimulatedDisk();
    const lock = new FakeLock();
    await lock.acquire();
    await assert.rejects(verify(disk, lock), { code: 'checkpoint-missing' }, 'before the lock, whose file is one too');
    assert.deepEqual(disk.files(), []);
  });

  test('is refused while a worker owns the shard', async () => {
    const lock = new FakeLock();
    await lock.acquire();
    await assert.rejects(verify(await usedShard(), lock), { code: 'owned' });
  });
});

describe('inspect', () => {
  test('says what the files say, and changes nothing', async () => {
    const disk = await usedShard();
    const before = disk.snapshot();
    const found = await inspectShard(disk, tinyEngine, 3);
    assert.equal(found.identity.archive, 'test');
    assert.equal(found.recordCount, recordCount);
    assert.equal(found.sealed.length, found.saved.checkpoint.section);
    assert.equal(found.slotUnreadable, false);
    assert.equal(found.tableLoad, recordCount / found.saved.checkpoint.tableSize);
    assert.deepEqual(
      found.sample.map(({ key }) => key),
      ['k0', 'again', 'k2'],
    );
    assert.deepEqual(disk.snapshot(), before);
    assert.deepEqual(disk.openHandles, []);
  });

  test('goes by the identity where the configuration has another page size or compression', async () => {
    const disk = await usedShard({ ...tinyEngine, compression: 3 });
    const { sample } = await inspectShard(disk, { ...tinyEngine, pageSize: 512 }, 3);
    assert.deepEqual(
      sample.map(({ key }) => key),
      ['k0', 'again', 'k2'],
    );
  });

  test('refuses a directory without a shard', async () => {
    await assert.rejects(inspectShard(new SimulatedDisk(), tinyEngine, 0), { code: 'damaged' });
  });
});

describe('salvage', () => {
  async function salvaged(source: SimulatedDisk): Promise<{ target: SimulatedDisk; losses: Loss[]; count: number }> {
    const target = new SimulatedDisk();
    const losses: Loss[] = [];
    const before = source.snapshot();
    const report = await salvageShard(
      { disk: source, lock: new FakeLock() },
      { disk: target, lock: new FakeLock(), clock: new ManualClock(), logger: silentLogger },
      tinySettings,
      (loss) => losses.push(loss),
    );
    assert.deepEqual(source.snapshot(), before, 'the old directory is untouched');
    assert.equal(report.lossCount, losses.length);
    assert.deepEqual([...source.openHandles, ...target.openHandles], []);
    return { target, losses, count: report.recordCount };
  }

  test('copies everything when only the checkpoint is lost', async () => {
    const source = await usedShard();
    for (const path of ['checkpoint', 'commit-mark', 'sections', 'identity.json']) source.mutate(path, () => undefined);
    const { target, losses, count } = await salvaged(source);
    assert.deepEqual([losses, count], [[], recordCount]);
    assert.deepEqual((await verify(target)).problems, []);
    const { shard, clock } = await openShard(target);
    assert.equal(await textOf(shard, 'k2'), `=2 ${'x'.repeat(40)}`);
    assert.equal(await textOf(shard, 'again'), '=28', 'the newest version is still the newest');
    const again = await settled(shard.put(put('p28', { k28: 'x', again: 'x' }, { redelivered: true })), clock);
    assert.deepEqual(
      again.records.map(({ outcome }) => outcome),
      ['unchanged', 'unchanged'],
      'put ids are kept',
    );
    await settled(shard.close(), clock);
  });

  test('tells how far it is of the records that the shard knows of', async () => {
    const steps: string[] = [];
    const progress = (done: number, total: number, phase: string): void => void steps.push(`${phase} ${done}/${total}`);
    await salvageShard(
      { disk: await usedShard(), lock: new FakeLock() },
      { disk: new SimulatedDisk(), lock: new FakeLock(), clock: new ManualClock(), logger: silentLogger, progress },
      tinySettings,
      () => assert.fail('nothing is lost'),
    );
    assert.equal(steps[0], `records 1/${recordCount}`);
    assert.equal(steps.at(-1), `records ${recordCount}/${recordCount}`);
  });

  test('copies a compressed shard whatever the configuration says', async () => {
    const { target, losses, count } = await salvaged(await usedShard({ ...tinyEngine, compression: 3 }));
    assert.deepEqual([losses, count], [[], recordCount]);
    const { shard } = await openShard(target, { engine: { ...tinyEngine, compression: 1 } });
    assert.equal(await textOf(shard, 'again'), '=28');
    await shard.close();
  });

  test('names what is lost and copies the rest', async () => {
    const source = await usedShard();
    source.mutate('value/0000000000000001', (bytes) => bytes.fill(0xff, 40, 42));
    const { losses, count } = await salvaged(source);
    assert.equal(losses.length, 1);
    assert.equal(losses[0]?.file, 'value/0000000000000001');
    assert.equal(count, recordCount - 1);
  });

  const firstKeys = 'key/0000000000000000';
  const physical = physicalPageSize(tinyEngine.pageSize);

  test('tells of records that an older checksum of the last page does not cover', async () => {
    const whole = await usedShard();
    const last = whole.files().findLast((path) => path.startsWith('key/')) ?? assert.fail();
    const { length } = whole.bytesOf(last);
    let fallbackCount = 0;
    for (let at = length - physical; at < length; at++) {
      const { losses, count } = await salvaged(flipped(whole, last, at));
      assert.ok(count === recordCount || losses.length > 0, `byte ${at}`);
      if (losses.some(({ reason }) => /: [1-9]\d* of \d+ bytes have a matching checksum/.test(reason))) fallbackCount++;
    }
    assert.ok(fallbackCount > 0);
  });

  test('tells of records whose pages were cut off at the border of a page', async () => {
    const source = await usedShard();
    source.mutate(firstKeys, (bytes) => bytes.subarray(0, 8 + physical));
    source.mutate('sections', () => undefined);
    const { losses, count } = await salvaged(source);
    assert.ok(count < recordCount);
    assert.ok(
      losses.some(({ file, reason }) => file.endsWith('0000000000000000') && reason.includes('no record names')),
    );
  });

  test('tells of a section of which nothing is left, by the manifest', async () => {
    const source = await usedShard();
    for (const path of [firstKeys, 'value/0000000000000000']) source.mutate(path, () => undefined);
    const { losses } = await salvaged(source);
    assert.deepEqual(
      losses.filter(({ reason }) => reason.endsWith('(sections)')).map(({ file }) => file),
      [firstKeys, 'value/0000000000000000'],
    );
  });

  test('copies no record a second time whose page lies at another place, too', async () => {
    const source = await usedShard();
    source.mutate(firstKeys, (bytes) => Buffer.concat([bytes, bytes.subarray(8, 8 + 3 * physical)]));
    const { losses, count } = await salvaged(source);
    assert.equal(count, recordCount);
    assert.ok(
      losses.some(({ reason }) => reason.startsWith('the record does not follow')),
      JSON.stringify(losses),
    );
  });

  test('reads a page that begins with a record, though the page before it is lost', async () => {
    const source = await usedShard();
    const [page, pageBytes, records] = [2, 160 + 12, [5, 6, 7]];
    assert.equal(((page + 1) * 160) % 60, 0, 'a record begins with the page');
    source.mutate('key/0000000000000000', (bytes) =>
      bytes.fill(0xff, 8 + page * pageBytes, 8 + (page + 1) * pageBytes),
    );
    const { count } = await salvaged(source);
    assert.equal(count, recordCount - records.length);
  });

  test('leaves no shard behind when it is interrupted', async () => {
    const source = await usedShard();
    const target = new SimulatedDisk();
    const to = { disk: target, lock: new FakeLock(), clock: new ManualClock(), logger: silentLogger };
    target.failAt(({ kind, path }) => kind === 'sync' && path.startsWith('value/'), 'eio');
    await assert.rejects(salvageShard({ disk: source, lock: new FakeLock() }, to, tinySettings, () => {}));
    await assert.rejects(openShard(target), { code: 'checkpoint-missing', message: /salvage that was interrupted/ });
  });

  test('is refused when the target holds a shard, or the source is in use', async () => {
    const source = await usedShard();
    const target = await usedShard();
    const to = { disk: target, lock: new FakeLock(), clock: new ManualClock(), logger: silentLogger };
    const from = { disk: source, lock: new FakeLock() };
    await assert.rejects(
      salvageShard(from, to, tinySettings, () => {}),
      { code: 'volume-foreign' },
    );
    assert.deepEqual([from.lock.held, to.lock.held], [false, false]);
    await from.lock.acquire();
    await assert.rejects(
      salvageShard(from, { ...to, disk: new SimulatedDisk() }, tinySettings, () => {}),
      { code: 'owned' },
    );
  });
});
