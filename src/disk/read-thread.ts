/**
 * A thread for small reads that come in numbers: chain heads, records, values. See `read-loop.ts` for why.
 *
 * States: running, or ended (stopped, or the thread died). Lists wait in a queue until the ring has a free slot; lists
 * of several callers share a slot. What the thread did not bring is given back to the caller, who reads it otherwise;
 * after the end that is everything.
 */
import { Worker } from 'node:worker_threads';
import { assert, present } from '../base/assert.ts';
import { yieldToLoop } from '../base/yield.ts';
import type { DiskRead } from './disk.ts';
import {
  asleep,
  awaited,
  brought,
  done,
  posted,
  ringOver,
  slotBytes,
  slotCount,
  slotOf,
  slotReadsMax,
  wanted,
} from './read-ring.ts';

/** Reads larger than this gain nothing from a thread that copies. */
export const threadReadSizeMax = 64 * 1024;

/** Lists up to this many reads are looked for at once: from memory they are there in a few microseconds. */
const spinReadsMax = 4;
/** How long to look. Mostly far shorter; it is this long when something else has the thread's processor. */
const spinMs = 0.1;
/** Looks at the counter between two looks at the clock. */
const looksPerTick = 100;
/** How long the event loop turns around and looks again before it sleeps until the thread wakes it. */
const pollMs = 0.1;
/** Lists that are not looked for after one that did not come at once. */
const spinPause = 32;

/** A list of one caller on its way. */
interface List {
  readonly descriptor: number;
  readonly reads: readonly DiskRead[];
  /** First read that is in no slot yet. */
  next: number;
  /** Reads whose outcome is not known. */
  open: number;
  readonly missed: DiskRead[];
  readonly resolve: (missed: readonly DiskRead[]) => void;
}

/** Consecutive reads of one list in a slot. */
interface Part {
  readonly list: List;
  readonly first: number;
  readonly count: number;
}

export class ReadThread {
  readonly #worker: Worker;
  readonly #ring = ringOver();
  readonly #queue: List[] = [];
  /** Parts of the slots that were posted and not collected, oldest first. */
  readonly #underWay: (readonly Part[])[] = [];
  #posted = 0;
  #collected = 0;
  #watching = false;
  #spinsToSkip = 0;
  #ended = false;
  #woken: (() => void) | undefined;

  constructor() {
    const isSource = import.meta.url.endsWith('.ts');
    const program = new URL(isSource ? './read-loop.ts' : './read-loop.js', import.meta.url);
    const resourceLimits = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 };
    this.#worker = new Worker(program, { workerData: this.#ring.memory, resourceLimits, name: 'permafrost-reads' });
    this.#worker.on('message', () => this.#woken?.());
    this.#worker.on('error', () => this.#end());
    this.#worker.on('exit', () => this.#end());
    this.#worker.unref();
  }

  /** Whether lists are still worth giving. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Resolves when the thread is there; at once when it could not be started. */
  ready(): Promise<void> {
    return new Promise((resolve) => {
      this.#worker.once('message', () => resolve());
      this.#worker.once('exit', () => resolve());
    });
  }

  /** Fills the reads, none larger than `threadReadSizeMax`; resolves to those that it did not fill. Never rejects. */
  readMany(descriptor: number, reads: readonly DiskRead[]): Promise<readonly DiskRead[]> {
    if (this.#ended || reads.length === 0) return Promise.resolve(reads);
    return new Promise((resolve) => {
      const isAlone = this.#underWay.length === 0;
      this.#queue.push({ descriptor, reads, next: 0, open: reads.length, missed: [], resolve });
      const isAwake = Atomics.load(this.#ring.control, asleep) === 0;
      this.#post();
      if (isAlone && isAwake && reads.length <= spinReadsMax) this.#spin();
      if (this.#underWay.length > 0) void this.#watch();
    });
  }

  /** Ends the thread. What is under way is given back unfilled. */
  async stop(): Promise<void> {
    this.#end();
    this.#worker.ref();
    await this.#worker.terminate();
  }

  /** Moves lists from the queue into free slots. */
  #post(): void {
    let isPosted = false;
    while (this.#queue.length > 0 && this.#underWay.length < slotCount) {
      this.#underWay.push(this.#fill());
      this.#posted = (this.#posted + 1) | 0;
      Atomics.store(this.#ring.control, posted, this.#posted);
      isPosted = true;
    }
    if (isPosted) Atomics.notify(this.#ring.control, posted);
  }

  #fill(): readonly Part[] {
    const slot = slotOf(this.#ring, this.#posted);
    const parts: Part[] = [];
    let count = 0;
    let bytes = 0;
    for (let list = this.#queue[0]; list !== undefined; list = this.#queue[0]) {
      const first = list.next;
      for (; list.next < list.reads.length && count < slotReadsMax; list.next++, count++) {
        const { offset, into } = present(list.reads[list.next], 'a read');
        if (bytes + into.length > slotBytes) break;
        slot.descriptors[count] = list.descriptor;
        slot.offsets[count] = offset;
        slot.sizes[count] = into.length;
        bytes += into.length;
      }
      if (list.next > first) parts.push({ list, first, count: list.next - first });
      if (list.next < list.reads.length) break;
      this.#queue.shift();
    }
    assert(count > 0, 'a slot has room for a read');
    slot.counts[wanted] = count;
    return parts;
  }

  /** Looks for a little while whether the thread is done already: falling asleep and waking costs far more. */
  #spin(): void {
    if (this.#spinsToSkip > 0) {
      this.#spinsToSkip--;
      return;
    }
    const { control } = this.#ring;
    const start = performance.now();
    while (this.#underWay.length > 0 && performance.now() - start < spinMs) {
      for (let look = 0; look < looksPerTick; look++) if (Atomics.load(control, done) !== this.#collected) break;
      this.#collect();
    }
    if (this.#underWay.length > 0) this.#spinsToSkip = spinPause;
  }

  /** Collects slots as they get done, until none is under way. The thread keeps the process alive meanwhile. */
  async #watch(): Promise<void> {
    if (this.#watching) return;
    this.#watching = true;
    this.#worker.ref();
    let waitingSince = performance.now();
    while (this.#underWay.length > 0) {
      if (Atomics.load(this.#ring.control, done) !== this.#collected) {
        this.#collect();
        this.#post();
        waitingSince = performance.now();
      } else if (performance.now() - waitingSince < pollMs) {
        await yieldToLoop();
      } else {
        await this.#wake();
      }
    }
    this.#worker.unref();
    this.#watching = false;
  }

  /** Sleeps until the thread says that a slot is done, or ends. The flag first, then another look: no wake is lost. */
  #wake(): Promise<void> {
    return new Promise((resolve) => {
      this.#woken = resolve;
      Atomics.store(this.#ring.control, awaited, 1);
      if (Atomics.load(this.#ring.control, done) !== this.#collected || this.#ended) resolve();
    });
  }

  #collect(): void {
    while (this.#underWay.length > 0 && this.#collected !== Atomics.load(this.#ring.control, done)) {
      const slot = slotOf(this.#ring, this.#collected);
      this.#collected = (this.#collected + 1) | 0;
      let index = 0;
      let at = 0;
      for (const { list, first, count } of this.#underWay.shift() ?? []) {
        for (let read = first; read < first + count; read++, index++) {
          const wantedRead = present(list.reads[read], 'a read');
          if (index < (slot.counts[brought] ?? 0)) slot.data.copy(wantedRead.into, 0, at, at + wantedRead.into.length);
          else list.missed.push(wantedRead);
          at += wantedRead.into.length;
        }
        this.#settle(list, count);
      }
    }
  }

  #settle(list: List, count: number): void {
    list.open -= count;
    if (list.open === 0) list.resolve(list.missed);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    const lists = new Set([...this.#underWay.flat().map(({ list }) => list), ...this.#queue]);
    this.#underWay.length = 0;
    this.#queue.length = 0;
    for (const list of lists) list.resolve(list.reads);
    this.#woken?.();
  }
}
