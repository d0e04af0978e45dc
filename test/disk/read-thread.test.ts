import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { DiskRead } from '../../src/disk/disk.ts';
import { NodeDisk } from '../../src/disk/node-disk.ts';
import { slotBytes, slotReadsMax } from '../../src/disk/read-ring.ts';
import { ReadThread, threadReadSizeMax } from '../../src/disk/read-thread.ts';
import { Random } from '../simulation/random.ts';
import { diskError } from './disk-behaviour.ts';

const directory = fs.mkdtempSync(join(tmpdir(), 'permafrost-reads-'));
after(() => fs.rmSync(directory, { recursive: true }));

const content = new Random(5).bytes(1 << 20);
fs.writeFileSync(join(directory, 'file'), content);

async function withThread(work: (thread: ReadThread, descriptor: number) => Promise<void>): Promise<void> {
  const descriptor = fs.openSync(join(directory, 'file'), 'r');
  const thread = new ReadThread();
  try {
    await thread.ready();
    await work(thread, descriptor);
  } finally {
    await thread.stop();
    fs.closeSync(descriptor);
  }
}

function readsOf(random: Random, count: number, sizeMax: number): DiskRead[] {
  return Array.from({ length: count }, () => {
    const size = random.between(1, sizeMax);
    return { offset: random.below(content.length - size), into: Buffer.alloc(size) };
  });
}

/** Fills what the thread left, as its users do, and compares everything with the file. */
function checkFilled(reads: readonly DiskRead[], missed: readonly DiskRead[]): void {
  for (const { offset, into } of missed) content.copy(into, 0, offset, offset + into.length);
  for (const { offset, into } of reads) assert.ok(content.subarray(offset, offset + into.length).equals(into));
}

describe('a thread that reads', () => {
  test('fills lists of many callers, small and large, in slots that they share', async () => {
    await withThread(async (thread, descriptor) => {
      const random = new Random(1);
      for (let round = 0; round < 30; round++) {
        const lists = Array.from({ length: random.between(1, 12) }, () =>
          readsOf(random, random.between(1, 60), random.chance(0.2) ? 20_000 : 100),
        );
        const missed = await Promise.all(lists.map((list) => thread.readMany(descriptor, list)));
        for (const [index, list] of lists.entries()) checkFilled(list, missed[index] ?? []);
      }
    });
  });

  test('fills a list that no slot holds', async () => {
    await withThread(async (thread, descriptor) => {
      const random = new Random(2);
      const many = readsOf(random, 5 * slotReadsMax, 8);
      const long = Array.from({ length: 12 }, (_, index) => ({
        offset: index * threadReadSizeMax,
        into: Buffer.alloc(threadReadSizeMax),
      }));
      assert.ok(long.length * threadReadSizeMax > slotBytes * 2);
      const [missedMany, missedLong] = await Promise.all([
        thread.readMany(descriptor, many),
        thread.readMany(descriptor, long),
      ]);
      checkFilled(many, missedMany);
      checkFilled(long, missedLong);
    });
  });

  test('gives back a read behind the end of the file and those after it in its slot', async () => {
    await withThread(async (thread, descriptor) => {
      const short = { offset: content.length - 3, into: Buffer.alloc(4) };
      const [good, after] = readsOf(new Random(3), 2, 50);
      assert.ok(good !== undefined && after !== undefined);
      const missed = await thread.readMany(descriptor, [good, short, after]);
      assert.ok(missed.includes(short));
      checkFilled(
        [good],
        missed.filter((read) => read !== short),
      );
    });
  });

  test('gives back what it cannot read at all', async () => {
    await withThread(async (thread) => {
      const reads = readsOf(new Random(4), 3, 50);
      assert.deepEqual(await thread.readMany(2 ** 30, reads), reads);
    });
  });

  test('gives back what was under way when it ends, and everything afterwards', async () => {
    await withThread(async (thread, descriptor) => {
      const reads = readsOf(new Random(6), 20 * slotReadsMax, 8);
      const pending = thread.readMany(descriptor, reads);
      await thread.stop();
      assert.deepEqual(await pending, reads);
      assert.deepEqual(await thread.readMany(descriptor, reads.slice(0, 2)), reads.slice(0, 2));
    });
  });
});

test('a disk that reads through a thread gives the same bytes and the same errors', async () => {
  const disk = new NodeDisk(directory, { readsBeforeThread: 1 });
  const file = await disk.open('file', { create: false });
  const random = new Random(7);
  await file.readMany(readsOf(random, 2, 50));
  await disk.threadReady();
  for (let round = 0; round < 20; round++) {
    const reads = readsOf(random, 40, 300);
    await file.readMany(reads);
    checkFilled(reads, []);
  }
  const beyond = { offset: content.length - 1, into: Buffer.alloc(2) };
  await assert.rejects(file.readMany([...readsOf(random, 3, 9), beyond]), diskError('short-read', 'file'));
  await file.close();
});
