/**
 * The reading thread: takes slots of the ring and fills them with synchronous reads, which cost a third of what a call
 * through the pool of threads does, and nothing of the event loop's time.
 *
 * It reads one after the other, so it gives up a slot at the first read that took so long that a disk must have been
 * asked: the pool reads the rest side by side. A read that fails or comes short ends the slot too; the pool meets the
 * same and says what it is.
 */
import fs from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import {
  asleep,
  awaited,
  brought,
  done,
  posted,
  type ReadRing,
  type RingSlot,
  ringOver,
  slotOf,
  wanted,
} from './read-ring.ts';

/** A read from memory takes a few microseconds, one from the fastest disk ten times as much. */
const coldReadMs = 0.1;
/**
 * How long the thread looks for the next slot before it sleeps, when the one before came as fast. To be woken costs the
 * other side a multiple of a read.
 */
const spinMs = 0.2;
/** Looks at the counter between two looks at the clock. */
const looksPerTick = 100;

function readSlot(slot: RingSlot): number {
  const count = slot.counts[wanted] ?? 0;
  let at = 0;
  let before = performance.now();
  for (let index = 0; index < count; index++) {
    const size = slot.sizes[index] ?? 0;
    try {
      if (fs.readSync(slot.descriptors[index] ?? -1, slot.data, at, size, slot.offsets[index] ?? 0) !== size)
        return index;
    } catch {
      return index;
    }
    at += size;
    const now = performance.now();
    if (now - before > coldReadMs) return index + 1;
    before = now;
  }
  return count;
}

/** Waits for a slot beyond `taken`. Tells whether it came so fast that looking for the next one is better than sleep. */
function awaitSlot({ control }: ReadRing, taken: number, isHot: boolean): boolean {
  const start = performance.now();
  while (isHot && performance.now() - start < spinMs) {
    for (let look = 0; look < looksPerTick; look++) if (Atomics.load(control, posted) !== taken) return true;
  }
  Atomics.store(control, asleep, 1);
  while (Atomics.load(control, posted) === taken) Atomics.wait(control, posted, taken);
  Atomics.store(control, asleep, 0);
  return !isHot && performance.now() - start < spinMs;
}

function serve(ring: ReadRing): never {
  let taken = 0;
  let isHot = false;
  for (;;) {
    isHot = awaitSlot(ring, taken, isHot);
    const slot = slotOf(ring, taken);
    slot.counts[brought] = readSlot(slot);
    taken = (taken + 1) | 0;
    Atomics.store(ring.control, done, taken);
    if (Atomics.exchange(ring.control, awaited, 0) === 1) parentPort?.postMessage('done');
  }
}

parentPort?.postMessage('ready');
serve(ringOver(workerData));
