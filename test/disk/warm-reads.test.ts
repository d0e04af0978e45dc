import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe, mock, test } from 'node:test';
import { AssertionFailure } from '../../src/base/assert.ts';
import type { DiskFile, DiskRead } from '../../src/disk/disk.ts';
import { NodeDisk } from '../../src/disk/node-disk.ts';
import { WarmReads, warmReadSizeMax } from '../../src/disk/warm-reads.ts';
import { Random } from '../simulation/random.ts';
import { diskError } from './disk-behaviour.ts';

const directory = fs.mkdtempSync(join(tmpdir(), 'permafrost-reads-'));
after(() => fs.rmSync(directory, { recursive: true }));

const content = new Random(5).bytes(1 << 20);
fs.writeFileSync(join(directory, 'file'), content);

const slowMs = 0.06;
const fastMs = 0.002;

/** Reads whose time is what the test says. */
class TimedReads {
  /** What the next reads take, in milliseconds. */
  readMs = 0;
  #nowMs = 0;
  #isStart = true;
  /** What the kernel counts at each slow read: blocks of the disk, or that the process waited. */
  counted: 'blocks' | 'waits' | 'nothing' = 'blocks';
  readonly #usage = { fsRead: 0, voluntaryContextSwitches: 0 };
  readonly reads = new WarmReads(
    () => {
      if (!this.#isStart) this.#pass();
      this.#isStart = !this.#isStart;
      return this.#nowMs;
    },
    () => ({ ...this.#usage }),
  );
  readonly #descriptor = fs.openSync(join(directory, 'file'), 'r');

  #pass(): void {
    this.#nowMs += this.readMs;
    if (this.readMs < slowMs) return;
    if (this.counted === 'blocks') this.#usage.fsRead++;
    if (this.counted === 'waits') this.#usage.voluntaryContextSwitches++;
  }

  /** So many reads at once, each of which takes so long. */
  fill(count: number, readMs: number): void {
    this.readMs = readMs;
    for (let index = 0; index < count; index++) {
      assert.ok(this.reads.isWarm, `cold before read ${index} of ${count}`);
      assert.ok(this.reads.fill(this.#descriptor, 0, Buffer.alloc(1), 0, 1));
    }
  }

  /** How many small reads go through the pool until it is warm. */
  warmUp(): number {
    let count = 0;
    for (; !this.reads.isWarm; count++) this.reads.passed(1);
    return count;
  }

  close(): void {
    fs.closeSync(this.#descriptor);
  }
}

describe('reads at once', () => {
  const open: TimedReads[] = [];
  afterEach(() => {
    for (const timed of open.splice(0)) timed.close();
  });
  const timedReads = (): TimedReads => {
    const timed = new TimedReads();
    open.push(timed);
    return timed;
  };

  test('begin after a few through the pool', () => {
    assert.equal(timedReads().warmUp(), 32);
  });

  test('go on after a slow one among many, and end with the second of few', () => {
    const timed = timedReads();
    timed.warmUp();
    for (let round = 0; round < 5; round++) {
      timed.fill(256, fastMs);
      timed.fill(1, slowMs);
    }
    timed.fill(255, fastMs);
    timed.fill(1, slowMs);
    assert.ok(!timed.reads.isWarm);
  });

  test('that waited though no block of a disk was counted end only with two that are close', () => {
    const timed = timedReads();
    timed.counted = 'waits';
    timed.warmUp();
    for (let round = 0; round < 5; round++) {
      timed.fill(16, fastMs);
      timed.fill(1, slowMs);
    }
    timed.fill(15, fastMs);
    timed.fill(1, slowMs);
    assert.ok(!timed.reads.isWarm);
  });

  test('go on while it is the processor that is taken away from them', () => {
    const timed = timedReads();
    timed.warmUp();
    timed.counted = 'nothing';
    timed.fill(100, slowMs);
    assert.ok(timed.reads.isWarm);
    timed.counted = 'waits';
    timed.fill(1, slowMs);
    assert.ok(!timed.reads.isWarm);
  });

  test('that take a little longer are not slow', () => {
    const timed = timedReads();
    timed.warmUp();
    timed.fill(10, 0.04);
    assert.ok(timed.reads.isWarm);
  });

  test('are tried the more seldom the sooner they meet the disk again, and never less than each 4096 reads', () => {
    const timed = timedReads();
    timed.warmUp();
    const pauses: number[] = [];
    for (let round = 0; round < 9; round++) {
      timed.fill(1, slowMs);
      pauses.push(timed.warmUp());
    }
    assert.deepEqual(pauses, [64, 128, 256, 512, 1024, 2048, 4096, 4096, 4096]);
    timed.fill(1023, fastMs);
    timed.fill(1, slowMs);
    timed.fill(1, slowMs);
    assert.equal(timed.warmUp(), 32);
  });

  test('that fail or come short are not filled, and nothing is thrown', () => {
    const reads = new WarmReads();
    const descriptor = fs.openSync(join(directory, 'file'), 'r');
    assert.equal(reads.fill(2 ** 30, 0, Buffer.alloc(1), 0, 1), false);
    assert.equal(reads.fill(descriptor, content.length - 1, Buffer.alloc(2), 0, 2), false);
    const into = Buffer.alloc(5, 0xab);
    assert.equal(reads.fill(descriptor, content.length - 3, into, 1, 3), true);
    assert.deepEqual(into, Buffer.from([0xab, ...content.subarray(-3), 0xab]));
    fs.closeSync(descriptor);
  });
});

function readsOf(random: Random, count: number, sizeMax: number): DiskRead[] {
  return Array.from({ length: count }, () => {
    const size = random.between(1, sizeMax);
    return { offset: random.below(content.length - size), into: Buffer.alloc(size) };
  });
}

function checkFilled(reads: readonly DiskRead[]): void {
  for (const { offset, into } of reads) assert.ok(content.subarray(offset, offset + into.length).equals(into));
}

async function withFile(reads: WarmReads, work: (file: DiskFile) => Promise<void>): Promise<void> {
  const file = await new NodeDisk(directory, reads).open('file', { create: false });
  try {
    await work(file);
  } finally {
    await file.close();
  }
}

/** Reads that are warm from the start, by a clock that stands still until `slow` is called. */
function warmFromTheStart(): { readonly reads: WarmReads; readonly slow: () => void } {
  let nowMs = 0;
  let stepMs = 0;
  const clock = (): number => {
    nowMs += stepMs;
    return nowMs;
  };
  const reads = new WarmReads(clock, () => ({ fsRead: nowMs, voluntaryContextSwitches: 0 }));
  reads.passed(32);
  return {
    reads,
    slow: () => {
      stepMs = 1;
    },
  };
}

describe('a disk that reads at once', () => {
  afterEach(() => mock.restoreAll());

  test('does so when enough small reads went through the pool, and not for large ones', async () => {
    await withFile(new WarmReads(), async (file) => {
      await file.readMany(readsOf(new Random(1), 31, 50));
      await file.read(0, Buffer.alloc(warmReadSizeMax + 1));
      const into = Buffer.alloc(warmReadSizeMax + 1);
      assert.equal(file.readNow(7, into, 3, 9), false);
      await file.read(0, Buffer.alloc(1));
      assert.equal(file.readNow(7, into, 3, 9), true);
      assert.deepEqual(into.subarray(3, 12), content.subarray(7, 16));
      assert.equal(file.readNow(0, into, 1, warmReadSizeMax), true);
      assert.ok(into.subarray(1).equals(content.subarray(0, warmReadSizeMax)));
      assert.equal(file.readNow(0, into, 0, warmReadSizeMax + 1), false);
    });
  });

  test('has nothing at once where a read fails, and says what is wrong when it is asked to read', async () => {
    await withFile(warmFromTheStart().reads, async (file) => {
      assert.equal(file.readNow(content.length - 1, Buffer.alloc(2), 0, 2), false);
      await assert.rejects(file.read(content.length - 1, Buffer.alloc(2)), diskError('short-read', 'file'));
      const beyond = { offset: content.length - 1, into: Buffer.alloc(2) };
      const before = readsOf(new Random(2), 3, 9);
      await assert.rejects(file.readMany([...before, beyond]), diskError('short-read', 'file'));
      checkFilled(before);
      assert.throws(() => file.readNow(-1, Buffer.alloc(2), 0, 2), AssertionFailure);
    });
    const file = await new NodeDisk(directory, warmFromTheStart().reads).open('file', { create: false });
    await file.close();
    assert.throws(() => file.readNow(0, Buffer.alloc(1), 0, 1), AssertionFailure);
  });

  test('fills long lists, and lets the event loop turn meanwhile', async () => {
    await withFile(warmFromTheStart().reads, async (file) => {
      const pool = mock.method(fs, 'read');
      const lists = [readsOf(new Random(3), 1000, 300), readsOf(new Random(4), 5, 20_000)];
      let turns = 0;
      let isReading = true;
      const count = (): void => {
        turns++;
        if (isReading) setImmediate(count);
      };
      setImmediate(count);
      await Promise.all(lists.map((list) => file.readMany(list)));
      isReading = false;
      for (const list of lists) checkFilled(list);
      assert.ok(turns >= Math.floor(1000 / 128), `${turns} turns`);
      assert.equal(pool.mock.callCount(), 0);
    });
  });

  test('gives the rest of a list to the pool when it meets the disk in the middle', async () => {
    const { reads, slow } = warmFromTheStart();
    await withFile(reads, async (file) => {
      const pool = mock.method(fs, 'read');
      const atOnce = fs.readSync;
      let count = 0;
      const counting = (...call: Parameters<typeof fs.readSync>): number => {
        if (++count === 10) slow();
        return atOnce(...call);
      };
      mock.method(fs, 'readSync', counting as typeof fs.readSync);
      const list = readsOf(new Random(5), 100, 300);
      await file.readMany(list);
      checkFilled(list);
      assert.deepEqual([count, pool.mock.callCount()], [10, 90]);
    });
  });

  test('is not closed while such a list is read', async () => {
    const file = await new NodeDisk(directory, warmFromTheStart().reads).open('file', { create: false });
    const reading = file.readMany(readsOf(new Random(6), 300, 9));
    await assert.rejects(file.close(), AssertionFailure);
    await reading;
    await file.close();
  });
});
