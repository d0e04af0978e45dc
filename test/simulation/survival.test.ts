import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Random } from './random.ts';
import { SimulatedDisk } from './simulated-disk.ts';
import { sectorSizesByDefault } from './survival.ts';

type Write = readonly [offset: number, size: number, fill: string];

/** A disk whose file `a` had durable dots and then, without a sync, these writes; a write of no size is a cut. */
async function diskAfter(durableSize: number, writes: readonly Write[]): Promise<SimulatedDisk> {
  const disk = SimulatedDisk.of(new Map([['a', Buffer.alloc(durableSize, '.')]]));
  const file = await disk.open('a', { create: false });
  for (const [offset, size, fill] of writes) {
    if (size === 0) await file.truncate(offset);
    else await file.write(offset, Buffer.alloc(size, fill));
  }
  return disk;
}

/** All contents of `a` that are found in many random survivals, as text with zeros shown as underscores. */
function contentsIn(disk: SimulatedDisk, sectorSizes = sectorSizesByDefault): Set<string> {
  const found = new Set<string>();
  for (let seed = 0; seed < 2000; seed++) {
    const bytes = disk.crash({ seed, sectorSizes }).bytesOf('a');
    found.add(bytes.toString('latin1').replaceAll('\0', '_'));
  }
  return found;
}

function assertAmong(found: ReadonlySet<string>, expected: readonly string[]): void {
  for (const text of expected) assert.ok(found.has(text), `${text} is not among ${[...found].slice(0, 20).join(' ')}`);
}

describe('a random survival', () => {
  test('keeps each of several writes or loses it, in every combination', async () => {
    const disk = await diskAfter(6, [
      [0, 2, 'A'],
      [2, 2, 'B'],
      [4, 2, 'C'],
    ]);
    const expected = ['......', 'AA....', '..BB..', '....CC', 'AABB..', 'AA..CC', '..BBCC', 'AABBCC'];
    assertAmong(contentsIn(disk, [512]), expected);
  });

  test('keeps a later write and loses an earlier one to the same place', async () => {
    const disk = await diskAfter(4, [
      [0, 3, 'A'],
      [1, 3, 'B'],
    ]);
    assertAmong(contentsIn(disk, [512]), ['AAA.', '.BBB', 'ABBB', '....']);
  });

  test('keeps a later write to one file and loses an earlier one to another', async () => {
    const disk = SimulatedDisk.of(
      new Map([
        ['a', Buffer.from('.')],
        ['b', Buffer.from('.')],
      ]),
    );
    for (const path of ['a', 'b']) {
      const file = await disk.open(path, { create: false });
      await file.write(0, Buffer.from('X'));
    }
    const found = new Set(
      Array.from({ length: 100 }, (_, seed) => [...disk.crash({ seed }).snapshot().values()].join('')),
    );
    assert.deepEqual([...found].sort(), ['..', '.X', 'X.', 'XX']);
  });

  test('tears writes at the borders of sectors, and nowhere else', async () => {
    const disk = await diskAfter(40, [[3, 30, 'A']]);
    const found = contentsIn(disk, [16]);
    assertAmong(found, [
      `...${'A'.repeat(13)}${'.'.repeat(24)}`,
      `${'.'.repeat(16)}${'A'.repeat(16)}${'.'.repeat(8)}`,
      `${'.'.repeat(32)}A${'.'.repeat(7)}`,
    ]);
    const torn = [...found].filter((text) => !/^\.{3}A*\.+$/.test(text));
    assert.ok(torn.length > 2);
    for (const text of torn) assert.match(text, /^\.{3}(A{13}|\.{13})(A{16}|\.{16})(A|\.)\.{7}$/);
  });

  test('cuts a write off at any byte', async () => {
    const found = contentsIn(await diskAfter(6, [[0, 6, 'A']]), [512]);
    assertAmong(found, ['A.....', 'AA....', 'AAA...', 'AAAA..', 'AAAAA.']);
  });

  test('lets a file grow before its bytes are there, and the bytes be there before it grows', async () => {
    const disk = await diskAfter(2, [
      [2, 2, 'A'],
      [4, 2, 'B'],
    ]);
    assertAmong(contentsIn(disk, [512]), ['..____', '..__BB', '..AA__', '..', '..AA', '..__', '..A', '..AAB']);
  });

  test('lets bytes that were cut show again when the file grew afterwards', async () => {
    const disk = await diskAfter(4, [
      [1, 0, ''],
      [3, 1, 'A'],
    ]);
    assertAmong(contentsIn(disk, [512]), ['.__A', '....', '...A', '.', '.___']);
  });

  test('never touches bytes that were synced and not written since', async () => {
    const random = new Random(7);
    for (let round = 0; round < 200; round++) {
      const disk = await diskAfter(2000, [[random.below(900), 1 + random.below(1000), 'A']]);
      const [, write] = disk.log;
      const bytes = disk.crash({ seed: round }).bytesOf('a');
      const [start, end] = [write?.offset ?? 0, (write?.offset ?? 0) + (write?.size ?? 0)];
      assert.equal(bytes.length, 2000);
      assert.ok(bytes.every((byte, offset) => byte === 0x2e || (byte === 0x41 && offset >= start && offset < end)));
    }
  });

  test('is nothing but what was synced when all was', async () => {
    const disk = await diskAfter(3, [[1, 5, 'A']]);
    const file = await disk.open('a', { create: false });
    await file.sync();
    assert.deepEqual([...contentsIn(disk)], ['.AAAAA']);
  });

  test('is durable: what one power loss left, a second one leaves as it is', async () => {
    const disk = await diskAfter(100, [
      [10, 200, 'A'],
      [50, 0, ''],
      [70, 30, 'B'],
    ]);
    for (let seed = 0; seed < 100; seed++) {
      const once = disk.crash({ seed });
      assert.equal(once.undurableCount, 0);
      for (const survival of ['synced', 'all', { seed: seed + 1 }] as const) {
        assert.deepEqual(once.crash(survival).snapshot(), once.snapshot());
      }
    }
  });

  test('is the same for the same seed', async () => {
    const disk = await diskAfter(10_000, [
      [0, 9000, 'A'],
      [4000, 9000, 'B'],
    ]);
    const texts = [1, 1, 2].map((seed) => disk.crash({ seed }).bytesOf('a').toString('latin1'));
    assert.equal(texts[0], texts[1]);
    assert.notEqual(texts[0], texts[2]);
  });
});

test('a power loss leaves what a slow and simple disk would have kept, over random workloads', async () => {
  for (let seed = 0; seed < 60; seed++) {
    const random = new Random(seed);
    const disk = SimulatedDisk.of(new Map([['a', Buffer.alloc(0)]]));
    const file = await disk.open('a', { create: false });
    let [current, durable] = [Buffer.alloc(0), Buffer.alloc(0)];
    for (let step = 0; step < 60; step++) {
      const action = random.below(6);
      if (action === 0) {
        await file.sync();
        durable = current;
      } else if (action === 1) {
        const size = random.below(12_000);
        await file.truncate(size);
        current = Buffer.concat([current.subarray(0, size), Buffer.alloc(Math.max(0, size - current.length))]);
      } else {
        const [offset, bytes] = [random.below(9000), random.bytes(random.below(6000))];
        await file.write(offset, bytes);
        if (bytes.length > 0) {
          const gap = Buffer.alloc(Math.max(0, offset + bytes.length - current.length));
          current = Buffer.concat([current, gap]);
          bytes.copy(current, offset);
        }
      }
      const survival = random.chance(0.5) ? 'synced' : 'allDurable';
      assert.ok(
        disk
          .crash(survival)
          .bytesOf('a')
          .equals(survival === 'synced' ? durable : current),
        `seed ${seed}`,
      );
      assert.ok(disk.bytesOf('a').equals(current), `seed ${seed}`);
    }
  }
});
