import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Checkpoint } from '../../src/freezer/checkpoint.ts';
import { Freezer } from '../../src/freezer/freezer.ts';
import { rebuildTable } from '../../src/freezer/rebuild.ts';
import type { FreezerSettings } from '../../src/freezer/settings.ts';
import type { FreezerStart, TableState } from '../../src/freezer/start.ts';
import { slotSize } from '../../src/freezer/table-entry.ts';
import { type JournalEnd, journalStart } from '../../src/journal/journal-end.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { key, namedSettings } from './named-keys.ts';

const tablePath = 'table/7461626c65';
const headerSize = 8;

interface Closed {
  readonly disk: SimulatedDisk;
  readonly checkpoint: Checkpoint;
  readonly table: TableState;
}

/** A store with key0 … key<count - 1>, closed. */
async function closedStore(count: number, changes: Partial<FreezerSettings<number>> = {}): Promise<Closed> {
  const disk = new SimulatedDisk();
  const freezer = await Freezer.open(disk, { ...namedSettings, ...changes }, { kind: 'create' });
  for (let value = 0; value < count; value++) await freezer.put(key(`key${value}`), value);
  const checkpoint = await freezer.close();
  return { disk, checkpoint, table: freezer.tableState };
}

function openAt(
  disk: SimulatedDisk,
  checkpoint: Checkpoint,
  changes: Partial<FreezerSettings<number>> = {},
): Promise<Freezer<number>> {
  return Freezer.open(disk, { ...namedSettings, ...changes }, { kind: 'checkpoint', checkpoint });
}

function rollForward(disk: SimulatedDisk, checkpoint: Checkpoint, mark: JournalEnd): Promise<Freezer<number>> {
  return Freezer.open(disk, namedSettings, { kind: 'roll-forward', checkpoint, mark });
}

async function assertFound(freezer: Freezer<number>, count: number): Promise<void> {
  const found = await freezer.getMany(Array.from({ length: count }, (_, value) => ({ key: key(`key${value}`) })));
  assert.deepEqual(
    found,
    found.map((_, value) => value),
  );
}

test('what was closed is found again', async () => {
  const { disk, checkpoint } = await closedStore(3);
  const freezer = await openAt(disk, checkpoint);
  await assertFound(freezer, 3);
  assert.equal(freezer.epoch, checkpoint.epoch + 1);
  await freezer.close();
});

test('opening and closing changes no byte', async () => {
  const { disk, checkpoint } = await closedStore(20, { valueTargetSize: 30, tableInitialSize: 4 });
  const before = disk.snapshot();
  const freezer = await openAt(disk, checkpoint);
  await freezer.release();
  assert.deepEqual(disk.snapshot(), before);
});

test('a store that was synced empty is opened again with its checkpoint', async () => {
  const { disk, checkpoint } = await closedStore(0);
  assert.deepEqual(checkpoint, { epoch: 1, section: 0, keyBytes: 0, tableSize: 256 });
  for (let round = 0; round < 3; round++) {
    const freezer = await openAt(disk, { ...checkpoint, epoch: checkpoint.epoch + round });
    if (round === 2) await freezer.put(key('key0'), 0);
    await freezer.close();
  }
  const freezer = await openAt(disk, { epoch: 4, section: 0, keyBytes: 92, tableSize: 256 });
  await assertFound(freezer, 1);
  await freezer.close();
});

test('at a checkpoint, what was put behind it is gone and its place is used again', async () => {
  const disk = new SimulatedDisk();
  const freezer = await Freezer.open(disk, namedSettings, { kind: 'create' });
  await freezer.put(key('key0'), 0);
  const checkpoint = await freezer.sync();
  await freezer.put(key('lost'), 1);
  await freezer.put(key('key0'), 2);
  await freezer.commit();
  const killed = disk.crash('all');
  const again = await openAt(killed, checkpoint);
  assert.deepEqual(await again.getMany([{ key: key('key0') }, { key: key('lost') }]), [0, undefined]);
  const cursor = await again.put(key('key1'), 1);
  assert.deepEqual(cursor, { section: 0, offset: 8, size: 8 });
  const next = await again.close();
  await assertFound(await openAt(killed, next), 2);
  await freezer.release();
});

test('with roll-forward, what was committed behind the checkpoint is there, and what was not is gone', async () => {
  const disk = new SimulatedDisk();
  const freezer = await Freezer.open(disk, namedSettings, { kind: 'create' });
  await freezer.put(key('key0'), 0);
  const checkpoint = await freezer.sync();
  for (const value of [1, 2, 3]) {
    await freezer.put(key(`key${value}`), value);
    await freezer.commit();
  }
  const mark = freezer.committed;
  await freezer.put(key('lost'), 9);
  for (const survival of ['synced', 'all', 'allDurable'] as const) {
    const found = disk.crash(survival);
    const again = await rollForward(found, checkpoint, mark);
    await assertFound(again, 4);
    assert.equal(await again.has(key('lost')), false);
    assert.deepEqual(again.committed, mark);
    assert.equal(again.epoch, checkpoint.epoch + 1);
    const next = await again.close();
    const third = await openAt(found, next);
    await assertFound(third, 4);
    await third.close();
  }
  await freezer.release();
});

test('roll-forward crosses sections and continues in the last one', async () => {
  const disk = new SimulatedDisk();
  const settings = { ...namedSettings, valueTargetSize: 16 };
  const freezer = await Freezer.open(disk, settings, { kind: 'create' });
  const checkpoint = await freezer.sync();
  for (let value = 0; value < 7; value++) await freezer.put(key(`key${value}`), value);
  const mark = await freezer.commit();
  assert.equal(mark.section, 3);
  const found = disk.crash('synced');
  const again = await Freezer.open(found, settings, { kind: 'roll-forward', checkpoint, mark });
  await assertFound(again, 7);
  assert.deepEqual((await again.put(key('key7'), 7)).section, 3);
  await again.close();
  await freezer.release();
});

test('after a clean close the table is not scanned, nor a section read', async () => {
  const changes = { tableInitialSize: 131_072, valueTargetSize: 400 };
  const { disk, checkpoint, table } = await closedStore(1000, changes);
  const before = disk.log.length;
  const freezer = await Freezer.open(disk, namedSettings, { kind: 'clean', checkpoint, table });
  const readShare = (path: string): number => {
    const reads = disk.log.slice(before).filter((operation) => operation.kind === 'read' && operation.path === path);
    return reads.reduce((sum, { size = 0 }) => sum + size, 0) / disk.bytesOf(path).length;
  };
  assert.ok(readShare(tablePath) < 0.05, `${readShare(tablePath)} of the table`);
  assert.equal(readShare('key/0000000000000000'), 0);
  assert.equal(readShare('value/0000000000000000'), 0);
  assert.deepEqual(freezer.tableState, table);
  await assertFound(freezer, 1000);
  await freezer.close();
});

test('after a clean close a running resize goes on where it was', async () => {
  const disk = new SimulatedDisk();
  const settings = { ...namedSettings, tableInitialSize: 8, tableResizeFrequency: 1, tableResizeChunkSize: 2 };
  const freezer = await Freezer.open(disk, settings, { kind: 'create' });
  for (let value = 0; value < 16; value++) await freezer.put(key(`key${value}`), value);
  const checkpoint = await freezer.sync();
  const table = freezer.tableState;
  assert.equal(table.resizeProgress, 2);
  await freezer.release();
  const again = await Freezer.open(disk, settings, { kind: 'clean', checkpoint, table });
  await again.sync();
  assert.equal(again.resizing, 4);
  await assertFound(again, 16);
  await again.close();
});

test('a clean start on files of other sizes is refused and changes nothing', async () => {
  for (const path of ['key/0000000000000000', 'value/0000000000000000', tablePath]) {
    const { disk, checkpoint, table } = await closedStore(3);
    disk.mutate(path, (bytes) => Buffer.concat([bytes, Buffer.alloc(4)]));
    const before = disk.snapshot();
    await assert.rejects(Freezer.open(disk, namedSettings, { kind: 'clean', checkpoint, table }), {
      code: 'corruption',
    });
    assert.deepEqual(disk.snapshot(), before);
    assert.deepEqual(disk.openHandles, []);
  }
});

for (const [name, damage] of [
  ['its first ten bytes are overwritten', (bytes: Buffer) => bytes.fill(0xff, headerSize, headerSize + 10)],
  [
    'a byte of a slot is flipped',
    (bytes: Buffer) => bytes.fill((bytes[headerSize + 20] ?? 0) ^ 0xff, headerSize + 20, headerSize + 21),
  ],
  [
    'both checksums of every bucket are broken',
    (bytes: Buffer) => {
      for (let at = headerSize; at < bytes.length; at += slotSize) bytes.writeUInt8(0xee, at + slotSize - 1);
      return bytes;
    },
  ],
] as const) {
  test(`a table is mended from the key index when ${name}`, async () => {
    const { disk, checkpoint } = await closedStore(30, { tableInitialSize: 2, tableResizeFrequency: 200 });
    disk.mutate(tablePath, (bytes) => damage(bytes));
    const freezer = await openAt(disk, checkpoint);
    await assertFound(freezer, 30);
    await freezer.put(key('key30'), 30);
    const next = await freezer.close();
    const again = await openAt(disk, next);
    await assertFound(again, 31);
    await again.close();
  });
}

test('bytes behind the table are cut off', async () => {
  const { disk, checkpoint } = await closedStore(1);
  const size = disk.bytesOf(tablePath).length;
  disk.mutate(tablePath, (bytes) => Buffer.concat([bytes, Buffer.from('deadbeef', 'hex')]));
  const freezer = await openAt(disk, checkpoint);
  assert.equal(disk.bytesOf(tablePath).length, size);
  await freezer.put(key('key1'), 1);
  await assertFound(freezer, 2);
  await freezer.close();
});

test('a completed resize is undone by an earlier checkpoint, and made again', async () => {
  const disk = new SimulatedDisk();
  const settings = { ...namedSettings, tableInitialSize: 2, tableResizeFrequency: 1, tableResizeChunkSize: 8 };
  const freezer = await Freezer.open(disk, settings, { kind: 'create' });
  await freezer.put(key('key0'), 0);
  const checkpoint = await freezer.sync();
  for (let value = 1; value < 8; value++) await freezer.put(key(`key${value}`), value);
  await freezer.sync();
  assert.ok(freezer.tableSize > checkpoint.tableSize);
  const again = await Freezer.open(disk.crash('all'), settings, { kind: 'checkpoint', checkpoint });
  assert.equal(again.tableSize, checkpoint.tableSize);
  await assertFound(again, 1);
  assert.equal(await again.has(key('key1')), false);
  await again.close();
  await freezer.release();
});

test('a table is made anew from the key index alone', async () => {
  const { disk, checkpoint } = await closedStore(300, { tableInitialSize: 16, valueTargetSize: 200 });
  disk.mutate(tablePath, () => undefined);
  const phases: string[] = [];
  await rebuildTable(disk, namedSettings, checkpoint, { progress: (_done, _total, phase) => phases.push(phase) });
  assert.ok(phases.length > 0);
  const freezer = await openAt(disk.crash('synced'), checkpoint);
  await assertFound(freezer, 300);
  await freezer.put(key('key300'), 300);
  await assertFound(freezer, 301);
  await freezer.close();
});

test('a crash while a table is made anew leaves the old one or the new one', async () => {
  const { disk, checkpoint } = await closedStore(20, { tableInitialSize: 4 });
  const whole = disk.clone();
  await rebuildTable(whole, namedSettings, checkpoint);
  for (let step = 1; step <= whole.steps; step++) {
    const crashed = disk.clone();
    crashed.failAt(step, 'crash');
    await assert.rejects(rebuildTable(crashed, namedSettings, checkpoint));
    for (const survival of ['synced', 'all', 'allDurable', { seed: step }] as const) {
      const freezer = await openAt(crashed.crash(survival), checkpoint);
      await assertFound(freezer, 20);
      await freezer.release();
    }
  }
});

test('data without a checkpoint is not taken for a new store', async () => {
  const { disk } = await closedStore(1);
  const before = disk.snapshot();
  await assert.rejects(Freezer.open(disk, namedSettings, { kind: 'create' }), {
    code: 'not-empty',
    message: /key holds 1 sections: open it with its checkpoint, or salvage it/,
  });
  assert.deepEqual(disk.snapshot(), before);
});

test('a creation that was interrupted is done again', async () => {
  const whole = new SimulatedDisk();
  await (await Freezer.open(whole, namedSettings, { kind: 'create' })).release();
  for (let step = 1; step <= whole.steps; step++) {
    const disk = new SimulatedDisk();
    disk.failAt(step, 'crash');
    await assert.rejects(Freezer.open(disk, namedSettings, { kind: 'create' }));
    const found = disk.crash({ seed: step });
    const freezer = await Freezer.open(found, namedSettings, { kind: 'create' });
    await freezer.put(key('key0'), 0);
    await freezer.close();
  }
});

test('one rotten value is an error for its key, and no other', async () => {
  const { disk, checkpoint } = await closedStore(5);
  disk.mutate('value/0000000000000000', (bytes) => {
    bytes.writeUInt8(0xee, headerSize + 2 * 8);
    return bytes;
  });
  const freezer = await openAt(disk, checkpoint);
  const lookups = await freezer.lookupMany([0, 1, 2, 3, 4].map((value) => ({ key: key(`key${value}`) })));
  assert.deepEqual(
    lookups.map(({ kind }) => kind),
    ['found', 'found', 'failed', 'found', 'found'],
  );
  await assert.rejects(freezer.get({ key: key('key2') }), {
    code: 'corruption',
    message: /^value\/0{16} at 24: value of 8 bytes: expected/,
  });
  await freezer.close();
});

test('an epoch that was interrupted leaves no trace in the table', async () => {
  const disk = new SimulatedDisk();
  const settings = { ...namedSettings, tableInitialSize: 2, tableResizeFrequency: 200 };
  const freezer = await Freezer.open(disk, settings, { kind: 'create' });
  for (let value = 0; value < 4; value++) await freezer.put(key(`key${value}`), value);
  const checkpoint = await freezer.sync();
  for (let value = 0; value < 4; value++) await freezer.put(key(`key${value}`), value + 100);
  const synced = freezer.sync(() => Promise.reject(new Error('the checkpoint could not be saved')));
  await assert.rejects(synced, /could not be saved/);
  assert.notEqual(freezer.poisoned, undefined);
  const again = await Freezer.open(disk.crash('all'), settings, { kind: 'checkpoint', checkpoint });
  await assertFound(again, 4);
  const rolled = await Freezer.open(disk.crash('all'), settings, {
    kind: 'roll-forward',
    checkpoint,
    mark: journalStart,
  });
  assert.equal(await rolled.get({ key: key('key3') }), 103);
  await Promise.all([again.close(), rolled.close(), freezer.release()]);
});

test('a clean opening refuses a growing section whose values end elsewhere than at the checkpoint', async () => {
  const disk = new SimulatedDisk();
  const freezer = await Freezer.open(disk, namedSettings, { kind: 'create' });
  await freezer.putMany([1, 2, 3].map((number) => ({ key: key(`key${number}`), value: number })));
  const checkpoint = await freezer.sync();
  const { tableState: table, committed } = freezer;
  await freezer.release();
  const startWith = (valueBytes: number): FreezerStart => ({
    kind: 'clean',
    checkpoint,
    table,
    sealed: [{ ...committed, valueBytes }],
  });
  const again = await Freezer.open(disk, namedSettings, startWith(committed.valueBytes));
  assert.equal(await again.get({ key: key('key2') }), 2);
  await again.release();
  for (const valueBytes of [committed.valueBytes - 1, committed.valueBytes + 1])
    await assert.rejects(Freezer.open(disk, namedSettings, startWith(valueBytes)), { code: 'corruption' });
});
