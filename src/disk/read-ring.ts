/**
 * The memory that the process and its reading thread share: a ring of slots, each a list of reads and room for what
 * they bring. One side posts slots, the other one takes them in their order; two counters say how far each is.
 */
import { present } from '../base/assert.ts';

/** Words of `control`. */
export const posted = 0;
export const done = 1;
/** 1 while the thread sleeps and needs to be woken. */
export const asleep = 2;
/** 1 while the other side sleeps: the thread takes it back and sends a message. */
export const awaited = 3;
const controlWords = 16;

/** A power of two: the counters run over. */
export const slotCount = 4;
/** Reads that fit a slot. */
export const slotReadsMax = 1024;
/** Bytes that fit a slot. */
export const slotBytes = 256 * 1024;

export interface RingSlot {
  /** Number of reads, and how many of them the thread brought: the first so many. */
  readonly counts: Int32Array;
  readonly descriptors: Int32Array;
  readonly sizes: Int32Array;
  readonly offsets: Float64Array;
  /** What was read, one after the other. */
  readonly data: Buffer;
}

/** Words of `counts`. */
export const wanted = 0;
export const brought = 1;

export interface ReadRing {
  readonly memory: SharedArrayBuffer;
  readonly control: Int32Array;
  readonly slots: readonly RingSlot[];
}

const slotHeadBytes = 8;
const slotSize = slotHeadBytes + slotReadsMax * (8 + 4 + 4) + slotBytes;

/** Lays a ring over shared memory: new memory, or what the other side made. */
export function ringOver(memory = new SharedArrayBuffer(controlWords * 4 + slotCount * slotSize)): ReadRing {
  return {
    memory,
    control: new Int32Array(memory, 0, controlWords),
    slots: Array.from({ length: slotCount }, (_, index) => slotAt(memory, controlWords * 4 + index * slotSize)),
  };
}

/** The slot that is the so manyth posted. */
export function slotOf(ring: ReadRing, number: number): RingSlot {
  return present(ring.slots[number & (slotCount - 1)], 'a slot of the ring');
}

function slotAt(memory: SharedArrayBuffer, start: number): RingSlot {
  const offsetsAt = start + slotHeadBytes;
  const descriptorsAt = offsetsAt + slotReadsMax * 8;
  const sizesAt = descriptorsAt + slotReadsMax * 4;
  return {
    counts: new Int32Array(memory, start, slotHeadBytes / 4),
    offsets: new Float64Array(memory, offsetsAt, slotReadsMax),
    descriptors: new Int32Array(memory, descriptorsAt, slotReadsMax),
    sizes: new Int32Array(memory, sizesAt, slotReadsMax),
    data: Buffer.from(memory, sizesAt + slotReadsMax * 4, slotBytes),
  };
}
