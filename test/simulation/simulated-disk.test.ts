import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AssertionFailure } from '../../src/base/assert.ts';
import type { DiskFile } from '../../src/disk/disk.ts';
import { contentOf, describeDisk, diskError } from '../disk/disk-behaviour.ts';
import { type Fault, SimulatedCrash } from './gate.ts';
import { SimulatedDisk } from './simulated-disk.ts';
import type { Survival } from './survival.ts';

/** A disk with one durable, empty file `a`, and its handle. */
async function diskWithFile(): Promise<{ disk: SimulatedDisk; file: DiskFile }> {
  const disk = new SimulatedDisk();
  const file = await disk.open('a', { create: true });
  await file.sync();
  await disk.syncDirectory('');
  return { disk, file };
}

function textAfter(disk: SimulatedDisk, survival: Survival, path = 'a'): string | undefined {
  return disk.crash(survival).snapshot().get(path)?.toString('latin1');
}

describe('the simulated disk', () => {
  describeDisk(() => new SimulatedDisk());
});

describe('file data', () => {
  test('is durable from the sync on, and no sooner', async () => {
    const { disk, file } = await diskWithFile();
    await file.write(0, Buffer.from('one'));
    assert.deepEqual(
      [textAfter(disk, 'synced'), textAfter(disk, 'all'), textAfter(disk, 'allDurable')],
      ['', 'one', 'one'],
    );
    await file.sync();
    await file.write(0, Buffer.from('two'));
    assert.deepEqual([textAfter(disk, 'synced'), textAfter(disk, 'all')], ['one', 'two']);
  });

  test('that was cut comes back unless the cut was synced', async () => {
    const { disk, file } = await diskWithFile();
    await file.write(0, Buffer.from('one'));
    await file.sync();
    await file.truncate(1);
    assert.deepEqual([textAfter(disk, 'synced'), textAfter(disk, 'all')], ['one', 'o']);
    await file.sync();
    await file.truncate(3);
    await file.sync();
    assert.equal(textAfter(disk, 'synced'), 'o\0\0');
  });

  test('that is written while a sync is under way is not covered by it', async () => {
    const { disk, file } = await diskWithFile();
    await file.write(0, Buffer.from('one'));
    const syncing = file.sync();
    await file.write(3, Buffer.from('two'));
    await syncing;
    assert.deepEqual([textAfter(disk, 'synced'), textAfter(disk, 'all')], ['one', 'onetwo']);
  });

  test('stays undurable over a kill of the process, and durable over a power loss that it survived', async () => {
    const { disk, file } = await diskWithFile();
    await file.write(0, Buffer.from('one'));
    const killed = disk.crash('all');
    assert.equal(killed.undurableCount, 1);
    assert.equal(textAfter(killed, 'synced'), '');
    const flushed = disk.crash('allDurable');
    assert.equal(flushed.undurableCount, 0);
    assert.equal(textAfter(flushed, 'synced'), 'one');
    const adopter = await killed.open('a', { create: false });
    await adopter.sync();
    assert.equal(textAfter(killed, 'synced'), 'one', 'a sync by the next process covers it');
  });

  test('of a crashed disk and of what survived do not change each other', async () => {
    const { disk, file } = await diskWithFile();
    await file.write(0, Buffer.from('one'));
    const killed = disk.clone();
    const other = await killed.open('a', { create: false });
    await other.write(0, Buffer.from('two'));
    await file.write(2, Buffer.from('!'));
    assert.deepEqual([disk.bytesOf('a').toString(), killed.bytesOf('a').toString()], ['on!', 'two']);
  });
});

describe('a failed sync', () => {
  test('leaves bytes that are readable, count as clean, and are not on the disk', async () => {
    const { disk, file } = await diskWithFile();
    await file.write(0, Buffer.from('lost'));
    disk.failAt(({ kind }) => kind === 'sync', 'eio');
    await assert.rejects(file.sync(), diskError('disk-failed', 'a'));
    await file.sync();
    await file.write(4, Buffer.from(' kept'));
    await file.sync();
    assert.equal(disk.bytesOf('a').toString(), 'lost kept');
    assert.equal(textAfter(disk, 'synced'), '\0\0\0\0 kept');
  });

  test('is healed by writing the same bytes again, also by the next process', async () => {
    const { disk, file } = await diskWithFile();
    await file.write(0, Buffer.from('lost'));
    disk.failAt(({ kind }) => kind === 'sync', 'eio');
    await assert.rejects(file.sync());
    const killed = disk.crash('all');
    const next = await killed.open('a', { create: false });
    await next.sync();
    assert.equal(textAfter(killed, 'synced'), '', 'a sync alone proves nothing');
    await next.write(0, await contentOf(killed, 'a'));
    await next.sync();
    assert.equal(textAfter(killed, 'synced'), 'lost');
  });

  test('may have brought some of it to the disk, and some not', async () => {
    const { disk, file } = await diskWithFile();
    disk.failAt(({ kind }) => kind === 'sync', 'enospc');
    await file.write(0, Buffer.from('abcd'));
    await assert.rejects(file.sync(), diskError('disk-full', 'a'));
    await file.write(4, Buffer.from('!'));
    await file.sync();
    const found = new Set(Array.from({ length: 200 }, (_, seed) => textAfter(disk, { seed, sectorSizes: [1] })));
    for (const text of ['abcd!', '\0\0\0\0!', 'ab\0\0!', '\0\0\0d!']) assert.ok(found.has(text), JSON.stringify(text));
    for (const text of found) assert.match(text ?? '', /^.{4}!$/, 'what was synced afterwards is there');
    assert.equal(textAfter(disk, 'allDurable'), 'abcd!');
  });

  test('of a directory leaves its changes to the next sync', async () => {
    const disk = new SimulatedDisk();
    await disk.open('a', { create: true });
    disk.failAt(({ kind }) => kind === 'syncDirectory', 'eio');
    await assert.rejects(disk.syncDirectory(''), diskError('disk-failed', ''));
    assert.deepEqual(disk.crash('synced').files(), []);
    await disk.syncDirectory('');
    assert.deepEqual(disk.crash('synced').files(), ['a']);
  });
});

describe('names', () => {
  test('of new files are gone after a power loss unless the directory was synced, even if the bytes were', async () => {
    const disk = new SimulatedDisk();
    const file = await disk.open('a', { create: true });
    await file.write(0, Buffer.from('one'));
    await file.sync();
    assert.deepEqual([disk.crash('synced').files(), disk.crash('all').files()], [[], ['a']]);
    await disk.syncDirectory('');
    assert.equal(textAfter(disk, 'synced'), 'one');
  });

  test('of new directories are gone with all that is in them', async () => {
    const disk = new SimulatedDisk();
    await disk.makeDirectory('d');
    await disk.open('d/a', { create: true });
    await disk.syncDirectory('d');
    assert.equal(await disk.crash('synced').stat('d'), undefined);
    await disk.syncDirectory('');
    assert.deepEqual(disk.crash('synced').files(), ['d/a']);
  });

  test('that were removed come back with their bytes unless the directory was synced', async () => {
    const { disk, file } = await diskWithFile();
    await file.write(0, Buffer.from('one'));
    await file.sync();
    await disk.remove('a');
    assert.deepEqual([textAfter(disk, 'synced'), textAfter(disk, 'all')], ['one', undefined]);
    await disk.syncDirectory('');
    assert.deepEqual(disk.crash('synced').files(), []);
  });

  test('moved inside a directory are the old or the new one, never none', async () => {
    const disk = SimulatedDisk.of(
      new Map([
        ['new', Buffer.from('new')],
        ['target', Buffer.from('old')],
      ]),
    );
    await disk.rename('new', 'target');
    const found = new Set(Array.from({ length: 50 }, (_, seed) => [...disk.crash({ seed }).snapshot()].join()));
    assert.deepEqual([...found].sort(), ['new,new,target,old', 'target,new']);
    await disk.syncDirectory('');
    assert.equal([...disk.crash('synced').snapshot()].join(), 'target,new');
  });

  test('moved between directories may be in both, or in none', async () => {
    const disk = SimulatedDisk.of(new Map([['d/a', Buffer.from('one')]]));
    await disk.rename('d/a', 'b');
    const found = new Set(Array.from({ length: 50 }, (_, seed) => disk.crash({ seed }).files().join()));
    assert.deepEqual([...found].sort(), ['', 'b', 'b,d/a', 'd/a']);
  });

  test('that come up while a sync of the directory is under way are not covered by it', async () => {
    const disk = new SimulatedDisk();
    await disk.open('a', { create: true });
    const syncing = disk.syncDirectory('');
    await disk.open('b', { create: true });
    await syncing;
    assert.deepEqual(disk.crash('synced').files(), ['a']);
  });

  test('that a killed process left are covered by a sync of the next one', async () => {
    const disk = new SimulatedDisk();
    await disk.open('a', { create: true });
    const killed = disk.crash('all');
    await killed.syncDirectory('');
    assert.deepEqual(killed.crash('synced').files(), ['a']);
  });

  test('survive each by itself', async () => {
    const disk = new SimulatedDisk();
    for (const path of ['a', 'b', 'c']) await disk.open(path, { create: true });
    const found = new Set(Array.from({ length: 200 }, (_, seed) => disk.crash({ seed }).files().join()));
    assert.equal(found.size, 8, [...found].join(' '));
  });
});

describe('faults', () => {
  test('of a crash stop everything: the operation, those that wait, and all later ones', async () => {
    const { disk, file } = await diskWithFile();
    const hold = disk.hold(({ kind }) => kind === 'read');
    await file.write(0, Buffer.from('one'));
    const reading = file.read(0, Buffer.alloc(3));
    await hold.reached;
    disk.failAt(disk.steps + 1, 'crash');
    await assert.rejects(file.write(0, Buffer.from('two')), SimulatedCrash);
    await assert.rejects(reading, SimulatedCrash);
    for (const use of [
      () => file.sync(),
      () => file.close(),
      () => disk.stat('a'),
      () => disk.open('a', { create: false }),
    ]) {
      await assert.rejects(use(), SimulatedCrash);
    }
    assert.ok(disk.crashed);
    assert.equal(textAfter(disk, 'all'), 'one');
  });

  test('of a crash after an operation leave it done', async () => {
    const { disk, file } = await diskWithFile();
    await file.write(0, Buffer.from('one'));
    disk.failAt(({ kind }) => kind === 'sync', 'crash-after');
    await assert.rejects(file.sync(), SimulatedCrash);
    assert.equal(textAfter(disk, 'synced'), 'one');
  });

  test('strike as often as they are told to, until they are disarmed', async () => {
    const { disk, file } = await diskWithFile();
    const full = disk.failAt(({ kind }) => kind === 'write', 'enospc', Number.POSITIVE_INFINITY);
    for (let round = 0; round < 3; round++) {
      await assert.rejects(file.write(0, Buffer.from('one')), diskError('disk-full', 'a'));
    }
    assert.equal(full.hits, 3);
    full.disarm();
    await file.write(0, Buffer.from('one'));
    assert.equal(disk.bytesOf('a').toString(), 'one');
  });

  const operations: [string, (disk: SimulatedDisk, file: DiskFile) => Promise<unknown>][] = [
    ['open', (disk) => disk.open('a', { create: false })],
    ['create', (disk) => disk.open('b', { create: true })],
    ['stat', (disk) => disk.stat('a')],
    ['list', (disk) => disk.list('')],
    ['makeDirectory', (disk) => disk.makeDirectory('e')],
    ['removeDirectory', (disk) => disk.removeDirectory('d')],
    ['remove', (disk) => disk.remove('a')],
    ['rename', (disk) => disk.rename('a', 'b')],
    ['syncDirectory', (disk) => disk.syncDirectory('')],
    ['size', (_disk, file) => file.size()],
    ['read', (_disk, file) => file.read(0, Buffer.alloc(4))],
    ['write', (_disk, file) => file.write(0, Buffer.from('news'))],
    ['truncate', (_disk, file) => file.truncate(0)],
    ['sync', (_disk, file) => file.sync()],
    ['close', (_disk, file) => file.close()],
  ];
  for (const [kind, operate] of operations) {
    test(`let ${kind} fail without effect`, async () => {
      const faults: [Fault, string][] = [
        ['eio', 'disk-failed'],
        ['enospc', 'disk-full'],
      ];
      for (const [fault, code] of faults) {
        const disk = SimulatedDisk.of(new Map([['a', Buffer.from('olds')]]));
        await disk.makeDirectory('d');
        const file = await disk.open('a', { create: false });
        const armed = disk.failAt((operation) => operation.kind === kind, fault);
        await assert.rejects(operate(disk, file), { code });
        assert.equal(armed.hits, 1);
        assert.deepEqual([...disk.snapshot()].join(), 'a,olds');
        assert.deepEqual(await disk.list(''), ['a', 'd']);
        assert.equal(disk.log.find((operation) => operation.failed)?.kind, kind);
      }
    });
  }

  test('cut a write short, and fail it', async () => {
    const { disk, file } = await diskWithFile();
    disk.failAt(({ kind }) => kind === 'write', 'short-write');
    await assert.rejects(file.write(0, Buffer.from('abcdef')), diskError('disk-failed', 'a'));
    assert.equal(disk.bytesOf('a').toString(), 'abc');
  });

  test('end a file early for a read', async () => {
    const { disk, file } = await diskWithFile();
    await file.write(0, Buffer.from('abcdef'));
    disk.failAt(({ kind }) => kind === 'read', 'short-read');
    await assert.rejects(file.read(0, Buffer.alloc(6)), diskError('short-read', 'a'));
  });

  test('lead reads and writes to a wrong place, silently', async () => {
    const { disk, file } = await diskWithFile();
    await file.write(0, Buffer.from('abcdef'));
    disk.failAt(({ kind }) => kind === 'read', { misdirectedBy: 2 });
    const bytes = Buffer.alloc(2);
    await file.read(0, bytes);
    assert.equal(bytes.toString(), 'cd');
    disk.failAt(({ kind }) => kind === 'write', { misdirectedBy: -3 });
    await file.write(4, Buffer.from('X'));
    assert.equal(disk.bytesOf('a').toString(), 'aXcdef');
  });
});

describe('a test', () => {
  test('holds an operation, knows when it is reached, and lets it go', async () => {
    const { disk, file } = await diskWithFile();
    const hold = disk.hold(({ kind, path }) => kind === 'sync' && path === 'a');
    await file.write(0, Buffer.from('one'));
    let synced = false;
    const syncing = file.sync().then(() => {
      synced = true;
    });
    await hold.reached;
    await file.write(3, Buffer.from('two'));
    await disk.syncDirectory('');
    assert.equal(synced, false);
    assert.equal(textAfter(disk, 'synced'), '');
    hold.release();
    await syncing;
    assert.equal(textAfter(disk, 'synced'), 'one');
    await file.sync();
  });

  test('sees in the log what was issued before something else had ended', async () => {
    const { disk, file } = await diskWithFile();
    const before = disk.log.length;
    await file.write(0, Buffer.from('one'));
    await Promise.all([file.sync(), file.write(3, Buffer.from('two'))]);
    await file.read(0, Buffer.alloc(1));
    const [first, second, sync, read] = disk.log.slice(before);
    assert.deepEqual(
      [first, second, sync, read].map((operation) => [operation?.kind, operation?.offset, operation?.size]),
      [
        ['write', 0, 3],
        ['write', 3, 3],
        ['sync', undefined, undefined],
        ['read', 0, 1],
      ],
    );
    const moments = (operation = first): [number, number] => [operation?.issued ?? 0, operation?.ended ?? 0];
    assert.ok(moments(first)[1] < moments(sync)[0], 'the first write was done when the sync was issued');
    assert.ok(moments(second)[0] < moments(sync)[1], 'the second was issued before the sync had ended');
    assert.deepEqual([first?.step, second?.step, sync?.step, read?.step], [4, 5, 6, undefined]);
  });

  test('counts the steps and the handles that are left', async () => {
    const { disk, file } = await diskWithFile();
    assert.equal(disk.steps, 3);
    await file.writeMany([
      { offset: 0, bytes: Buffer.alloc(1) },
      { offset: 5, bytes: Buffer.alloc(1) },
    ]);
    await file.size();
    assert.equal(disk.steps, 5);
    assert.deepEqual(disk.openHandles, ['a']);
    await file.close();
    assert.deepEqual(disk.openHandles, []);
  });

  test('places, changes and takes away files behind the back of the model', async () => {
    const disk = SimulatedDisk.of(
      new Map([
        ['d/a', Buffer.from('one')],
        ['b', Buffer.from('two')],
      ]),
    );
    const file = await disk.open('b', { create: false });
    await file.write(0, Buffer.from('x'));
    disk.mutate('b', (bytes) => Buffer.concat([bytes, Buffer.from('!')]));
    assert.equal(textAfter(disk, 'synced', 'b'), 'xwo!');
    disk.mutate('d/a', () => undefined);
    disk.place('b', Buffer.from('three'));
    assert.deepEqual(disk.crash('synced').files(), ['b']);
    assert.equal(disk.steps, 1);
    const bytes = Buffer.alloc(5);
    await file.read(0, bytes);
    assert.equal(bytes.toString(), 'three', 'an open handle sees it');
  });

  test('lets operations overtake each other, in the same way for the same seed', async () => {
    const orders: string[] = [];
    for (const jitterSeed of [1, 1, 2, 3]) {
      const disk = new SimulatedDisk({ jitterSeed });
      const file = await disk.open('a', { create: true });
      const writes = Array.from({ length: 6 }, (_, offset) => ({ offset, bytes: Buffer.alloc(1) }));
      await file.writeMany(writes);
      orders.push(disk.log.map(({ offset }) => offset).join());
    }
    assert.equal(orders[0], orders[1]);
    assert.ok(new Set(orders).size > 2, orders.join(' '));
  });
});

describe('a program that', () => {
  test('writes one range twice at a time breaks an assertion', async () => {
    const { file } = await diskWithFile();
    const first = file.write(0, Buffer.alloc(10));
    await assert.rejects(async () => file.write(9, Buffer.alloc(1)), AssertionFailure);
    await first;
    await file.write(9, Buffer.alloc(1));
    const overlapping = [
      { offset: 4, bytes: Buffer.alloc(2) },
      { offset: 0, bytes: Buffer.alloc(5) },
    ];
    await assert.rejects(file.writeMany(overlapping), AssertionFailure);
  });

  test('changes bytes that are being written breaks an assertion', async () => {
    const { file } = await diskWithFile();
    const bytes = Buffer.from('one');
    const writing = file.write(0, bytes);
    bytes[0] = 0;
    await assert.rejects(writing, AssertionFailure);
  });
});
