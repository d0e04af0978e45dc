import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Freezer } from '../../src/freezer/freezer.ts';
import type { FreezerSettings } from '../../src/freezer/settings.ts';
import type { JournalEnd } from '../../src/journal/journal-end.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { key, namedSettings } from './named-keys.ts';

const keyFile = 'key/0000000000000000';
const valueFile = 'value/0000000000000000';
const tableFile = 'table/7461626c65';

function create(disk: SimulatedDisk, changes: Partial<FreezerSettings<number>> = {}): Promise<Freezer<number>> {
  return Freezer.open(disk, { ...namedSettings, ...changes }, { kind: 'create' });
}

/** Lets everything go on that waits for nothing but its turn. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 200; turn++) await Promise.resolve();
}

test('a commit writes and fsyncs both journals and leaves the table alone', async () => {
  const disk = new SimulatedDisk();
  const freezer = await create(disk);
  await freezer.put(key('a'), 1);
  const before = disk.log.length;
  const end = await freezer.commit();
  const steps = disk.log.slice(before).filter(({ step }) => step !== undefined);
  assert.deepEqual(steps.map(({ kind, path }) => `${kind} ${path}`).sort(), [
    `sync ${keyFile}`,
    `sync ${valueFile}`,
    `write ${keyFile}`,
    `write ${valueFile}`,
  ]);
  assert.deepEqual(end, { section: 0, keyBytes: 92, valueBytes: 8 });
  assert.deepEqual(freezer.committed, end);
  assert.equal(disk.undurableCount, 0);
  await freezer.release();
});

test('both fsyncs of a commit run side by side', async () => {
  const disk = new SimulatedDisk();
  const freezer = await create(disk);
  await freezer.put(key('a'), 1);
  const holds = [keyFile, valueFile].map((path) =>
    disk.hold((operation) => operation.kind === 'sync' && operation.path === path),
  );
  const commit = freezer.commit();
  await Promise.all(holds.map((hold) => hold.reached));
  for (const hold of holds) hold.release();
  await commit;
  await freezer.release();
});

test('a commit without new records does nothing', async () => {
  const disk = new SimulatedDisk();
  const freezer = await create(disk);
  const marks: JournalEnd[] = [];
  const save = async (previous: JournalEnd): Promise<void> => void marks.push(previous);
  await freezer.commit(save);
  await freezer.put(key('a'), 1);
  await freezer.commit(save);
  const { steps } = disk;
  await freezer.commit(save);
  assert.equal(disk.steps, steps);
  assert.equal(marks.length, 1);
  await freezer.release();
});

test('the mark of a commit is the end of the commit before it', async () => {
  const freezer = await create(new SimulatedDisk());
  const marks: JournalEnd[] = [];
  const ends: JournalEnd[] = [];
  for (const value of [1, 2, 3]) {
    await freezer.put(key(`key${value}`), value);
    ends.push(await freezer.commit(async (previous) => void marks.push(previous)));
  }
  assert.deepEqual(marks, [{ section: 0, keyBytes: 0, valueBytes: 0 }, ends[0], ends[1]]);
  await freezer.release();
});

test('puts during a commit collect in memory, and no byte of the key index is written before its fsync returned', async () => {
  const disk = new SimulatedDisk();
  const freezer = await create(disk);
  await freezer.put(key('a'), 1);
  const hold = disk.hold(({ kind, path }) => kind === 'sync' && path === keyFile);
  const commit = freezer.commit();
  await hold.reached;
  const { steps } = disk;
  for (let value = 0; value < 5; value++) await freezer.put(key(`during${value}`), value);
  assert.equal(await freezer.get({ key: key('during3') }), 3);
  await settled();
  assert.equal(disk.steps, steps + 1, 'only the other fsync of this commit');
  hold.release();
  await commit;
  assert.equal(freezer.committed.keyBytes, 92);
  assert.equal(freezer.end.keyBytes, 6 * 92);
  await freezer.close();
});

test('a put that finds memory full waits for the commit in flight', async () => {
  const disk = new SimulatedDisk();
  const freezer = await create(disk, { keyWriteBuffer: 100, keyPageCache: { pageSize: 50, pages: 4 } });
  await freezer.put(key('a'), 1);
  const hold = disk.hold(({ kind, path }) => kind === 'sync' && path === keyFile);
  const commit = freezer.commit();
  await hold.reached;
  const done: number[] = [];
  const puts = [1, 2, 3, 4].map(async (value) => {
    await freezer.put(key(`during${value}`), value);
    done.push(value);
  });
  await settled();
  assert.ok(done.length > 0 && done.length < 4, `${done.length} puts`);
  hold.release();
  await Promise.all([commit, ...puts]);
  assert.deepEqual(done, [1, 2, 3, 4]);
  await freezer.close();
});

test('a put that begins a section waits for the commit in flight', async () => {
  const disk = new SimulatedDisk();
  const freezer = await create(disk, { valueTargetSize: 1 });
  await freezer.put(key('a'), 1);
  const hold = disk.hold(({ kind, path }) => kind === 'sync' && path === keyFile);
  const commit = freezer.commit();
  await hold.reached;
  const put = freezer.put(key('b'), 2);
  await settled();
  assert.equal(freezer.end.section, 0);
  hold.release();
  await Promise.all([commit, put]);
  assert.equal(freezer.end.section, 1);
  await freezer.close();
});

test('a section is durable before the next one begins, and so is what is noted about it', async () => {
  const disk = new SimulatedDisk();
  let notedAt = 0;
  const sealed = async (end: JournalEnd): Promise<void> => {
    const durable = disk.crash('synced');
    assert.equal(durable.bytesOf(valueFile).length, 8 + end.valueBytes, 'its values are durable when it is noted');
    assert.ok(durable.bytesOf(keyFile).length > end.keyBytes, 'its keys are, too');
    await settled();
    notedAt = disk.log.length;
  };
  const freezer = await Freezer.open(disk, { ...namedSettings, valueTargetSize: 1 }, { kind: 'create' }, { sealed });
  await freezer.put(key('a'), 1);
  await freezer.put(key('b'), 2);
  const firstOfNext = disk.log.findIndex(({ path }) => path.endsWith('0001'));
  assert.ok(notedAt > 0 && notedAt <= firstOfNext, `noted at ${notedAt}, begun at ${firstOfNext}`);
  await freezer.close();
});

test('one commit runs at a time, and the next takes all that has come meanwhile', async () => {
  const disk = new SimulatedDisk();
  const freezer = await create(disk);
  await freezer.put(key('a'), 1);
  const hold = disk.hold(({ kind, path }) => kind === 'sync' && path === keyFile);
  const first = freezer.commit();
  await hold.reached;
  await freezer.put(key('b'), 2);
  const others = [freezer.commit(), freezer.commit()];
  await freezer.put(key('c'), 3);
  hold.release();
  await first;
  const ends = await Promise.all(others);
  assert.deepEqual(
    ends.map((end) => end.keyBytes),
    [3 * 92, 3 * 92],
  );
  assert.equal(disk.log.filter(({ kind, path }) => kind === 'sync' && path === keyFile).length, 1 + 2);
  await freezer.release();
});

test('a sync lets no put in before its checkpoint is saved, and gets go on', async () => {
  const disk = new SimulatedDisk();
  const freezer = await create(disk);
  await freezer.put(key('a'), 1);
  const saving = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  const sync = freezer.sync(async (checkpoint) => {
    assert.equal(checkpoint.epoch, 1);
    reached.resolve();
    await saving.promise;
  });
  await reached.promise;
  let admitted = false;
  const put = freezer.put(key('b'), 2).then(() => {
    admitted = true;
  });
  assert.equal(await freezer.get({ key: key('a') }), 1);
  await settled();
  assert.equal(admitted, false);
  assert.equal(freezer.end.keyBytes, 92);
  saving.resolve();
  await sync;
  await put;
  assert.equal(freezer.epoch, 2);
  await freezer.close();
});

test('a sync makes journals durable before a byte of the table is written, and the table before the checkpoint is given', async () => {
  const disk = new SimulatedDisk();
  const freezer = await create(disk);
  await freezer.put(key('a'), 1);
  const before = disk.log.length;
  let syncedBeforeSave = false;
  await freezer.sync(async () => {
    syncedBeforeSave = disk.undurableCount === 0;
  });
  const order = disk.log
    .slice(before)
    .flatMap(({ kind, path, step }) => (step === undefined ? [] : [`${kind} ${path}`]));
  const first = order.findIndex((step) => step.endsWith(tableFile));
  assert.deepEqual(
    order
      .slice(0, first)
      .filter((step) => step.startsWith('sync'))
      .sort(),
    [`sync ${keyFile}`, `sync ${valueFile}`],
  );
  assert.equal(order.at(-1), `sync ${tableFile}`);
  assert.ok(syncedBeforeSave);
  await freezer.close();
});

for (const [name, path] of [
  ['key index', keyFile],
  ['values', valueFile],
] as const) {
  test(`a failed fsync of the ${name} poisons the freezer: gets go on, mutations are refused`, async () => {
    const disk = new SimulatedDisk();
    const freezer = await create(disk);
    await freezer.put(key('committed'), 1);
    const end = await freezer.commit();
    await freezer.put(key('lost'), 2);
    disk.failAt((operation) => operation.kind === 'sync' && operation.path === path, 'eio');
    await assert.rejects(freezer.commit(), { code: 'disk-failed' });
    assert.deepEqual(freezer.committed, end);
    const poisoned = { code: 'poisoned', fatal: true };
    await assert.rejects(freezer.put(key('b'), 3), poisoned);
    await assert.rejects(freezer.commit(), poisoned);
    await assert.rejects(freezer.sync(), poisoned);
    await assert.rejects(freezer.close(), poisoned);
    assert.equal(await freezer.get({ key: key('committed') }), 1);
    await freezer.release();
    assert.deepEqual(disk.openHandles, []);
  });
}

test('a mark that cannot be saved fails its commit and poisons', async () => {
  const freezer = await create(new SimulatedDisk());
  await freezer.put(key('a'), 1);
  await assert.rejects(
    freezer.commit(() => Promise.reject(new Error('no mark'))),
    /no mark/,
  );
  await assert.rejects(freezer.put(key('b'), 2), { code: 'poisoned', message: /no mark/ });
  await freezer.release();
});

test('after a failed commit a second instance has all that was committed, whatever the disk kept', async () => {
  const disk = new SimulatedDisk();
  const freezer = await create(disk);
  const checkpoint = await freezer.sync();
  await freezer.put(key('key0'), 0);
  const mark = await freezer.commit();
  await freezer.put(key('key1'), 1);
  disk.failAt(({ kind, path }) => kind === 'sync' && path === keyFile, 'eio');
  await assert.rejects(freezer.commit());
  await freezer.release();
  const second = await Freezer.open(disk, namedSettings, { kind: 'roll-forward', checkpoint, mark });
  assert.equal(await second.get({ key: key('key0') }), 0);
  await second.put(key('key1'), 11);
  await second.commit();
  assert.equal(await second.get({ key: key('key1') }), 11);
  await second.close();
});

test('a full disk fails the commit without an invented record, and room makes a second instance work', async () => {
  const disk = new SimulatedDisk();
  const freezer = await create(disk);
  const checkpoint = await freezer.sync();
  await freezer.put(key('key0'), 0);
  const mark = await freezer.commit();
  await freezer.put(key('key1'), 1);
  disk.failAt(({ kind }) => kind === 'write', 'enospc', 2);
  await assert.rejects(freezer.commit(), { code: 'disk-full' });
  await freezer.release();
  const second = await Freezer.open(disk, namedSettings, { kind: 'roll-forward', checkpoint, mark });
  assert.deepEqual(await second.getMany([{ key: key('key0') }, { key: key('key1') }]), [0, undefined]);
  await second.put(key('key1'), 1);
  await second.close();
});
