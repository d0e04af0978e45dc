/**
 * The value journal: frames back to back, each the value's bytes and their checksum. FORMAT.md section 7.
 *
 * What was appended stays in memory until it was written; a buffer on its way to the disk is read from, and not
 * changed, until the write is done.
 */
import { assert, present } from '../base/assert.ts';
import type { Blob } from '../blob/blob.ts';
import { BlobError, corruption, hex32 } from '../blob/blob-error.ts';
import { headerSize } from '../blob/header.ts';
import type { Reserved } from '../blob/paged-tail.ts';
import { crc32c, crcSize } from '../codec/crc32c.ts';
import { FrameMemory } from './frame-memory.ts';
import type { SectionBlobs } from './section-blobs.ts';

export interface ValueLocation {
  readonly section: number;
  readonly offset: number;
  /** Bytes of the frame, checksum included. */
  readonly size: number;
}

/** Frames in memory: `memory[0 .. used)` lies at `start` in the section. */
interface FrameBuffer {
  readonly start: number;
  memory: Buffer;
  used: number;
}

interface Tail {
  readonly section: number;
  readonly blob: Blob;
  active: FrameBuffer;
  /** On its way to the disk. Stays for ever when the write failed, so that reads go on. */
  inFlight: FrameBuffer | undefined;
}

export interface StagedFrames {
  readonly start: number;
  readonly bytes: Buffer;
}

/** Largest frame: its size is a 32-bit field. */
export const frameSizeMax = 0xffff_ffff;
const memorySizeMin = 64 * 1024;

export class ValueLog {
  readonly blobs: SectionBlobs;
  #tail: Tail | undefined;
  /** A buffer that was written and can be filled again. */
  #spare: Buffer | undefined;
  readonly #memorySizeKept: number;
  readonly #frames = new FrameMemory();

  constructor(blobs: SectionBlobs, settings: { readonly writeBuffer: number }) {
    this.blobs = blobs;
    this.#memorySizeKept = Math.max(memorySizeMin, settings.writeBuffer * 2);
  }

  /** Bytes of the growing section; 0 when it has no file yet. */
  get size(): number {
    return this.#tail === undefined ? 0 : this.#tail.active.start + this.#tail.active.used;
  }

  /** Bytes that are in no write yet. */
  get pending(): number {
    return this.#tail?.active.used ?? 0;
  }

  async openTail(section: number, size: number): Promise<void> {
    const blob = await this.blobs.acquire(section);
    assert(blob.size === size, 'recovery cut the section to its committed size');
    this.#tail = { section, blob, active: this.#buffer(size), inFlight: undefined };
  }

  async startSection(section: number): Promise<void> {
    const blob = await this.blobs.create(section);
    const before = this.#tail;
    this.#tail = { section, blob, active: this.#buffer(0), inFlight: undefined };
    if (before !== undefined) await this.blobs.release(before.section);
  }

  /** Room for the data of the next frame, to be filled at once and then given to `seal`. */
  reserve(dataSize: number): Reserved {
    const active = this.#present().active;
    const needed = active.used + dataSize + crcSize;
    if (needed > active.memory.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, active.memory.length * 2));
      active.memory.copy(grown, 0, 0, active.used);
      active.memory = grown;
    }
    return { into: active.memory, at: active.used };
  }

  /** Ends the frame whose data was filled in. */
  seal(dataSize: number): ValueLocation {
    const { active, section } = this.#present();
    const at = active.used;
    active.memory.writeUInt32BE(crc32c(active.memory.subarray(at, at + dataSize)), at + dataSize);
    active.used = at + dataSize + crcSize;
    return { section, offset: active.start + at, size: dataSize + crcSize };
  }

  /** Takes back the frames that were sealed last. Nothing was staged since, and nothing refers to them. */
  retract(places: readonly ValueLocation[]): void {
    const { active, section } = this.#present();
    const size = places.reduce((sum, place) => sum + place.size, 0);
    assert(size <= active.used && places.every((place) => place.section === section), 'frames in memory are retracted');
    active.used -= size;
  }

  /** Takes what is in memory; frames that follow collect in a new buffer. `undefined` when there is nothing. */
  stage(): StagedFrames | undefined {
    const tail = this.#tail;
    if (tail === undefined || tail.active.used === 0) return undefined;
    assert(tail.inFlight === undefined, 'one write of values at a time');
    const staged = tail.active;
    tail.inFlight = staged;
    tail.active = this.#buffer(staged.start + staged.used);
    return { start: staged.start, bytes: staged.memory.subarray(0, staged.used) };
  }

  async write(staged: StagedFrames): Promise<void> {
    const tail = this.#present();
    await tail.blob.writeMany([{ offset: staged.start, bytes: staged.bytes }]);
    const written = present(tail.inFlight, 'the buffer that was written').memory;
    tail.inFlight = undefined;
    if (written.length <= this.#memorySizeKept) this.#spare = written;
  }

  async sync(): Promise<void> {
    await this.#present().blob.sync();
    this.blobs.synced.add();
  }

  /** One outcome for each location: the frame's data, checked, or why it cannot be had. */
  async readMany(wanted: readonly ValueLocation[]): Promise<readonly (Buffer | Error)[]> {
    const outcomes: (Buffer | Error)[] = [];
    const onDisk = new Map<number, number[]>();
    for (const [index, location] of wanted.entries()) {
      const frame = this.#fromMemory(location);
      outcomes.push(frame ?? notRead);
      if (frame !== undefined) continue;
      const indexes = onDisk.get(location.section);
      if (indexes === undefined) onDisk.set(location.section, [index]);
      else indexes.push(index);
    }
    for (const [section, indexes] of onDisk) await this.#readFrames(section, indexes, wanted, outcomes);
    return outcomes.map((outcome, index) =>
      outcome instanceof Error ? outcome : this.#check(present(wanted[index], 'a location'), outcome, 0),
    );
  }

  /**
   * As `readMany` for one location, at once: from memory, or where the disk needs not be waited for. `undefined` says
   * only that `readMany` has to be asked.
   */
  readNow(location: ValueLocation): Buffer | Error | undefined {
    const inMemory = this.#fromMemory(location);
    if (inMemory !== undefined) return inMemory instanceof Error ? inMemory : this.#check(location, inMemory, 0);
    const { section, offset, size } = location;
    const { into, at } = this.#frames.reserve(size);
    if (this.blobs.peek(section)?.readNow(offset, into, at, size) !== true) return undefined;
    this.#frames.take(size);
    return this.#check(location, into, at);
  }

  async close(): Promise<void> {
    await this.blobs.close();
  }

  /** The frame, when it is in memory or can be told to be impossible; `undefined` when it is on disk. */
  #fromMemory(location: ValueLocation): Buffer | Error | undefined {
    const { section, offset, size } = location;
    if (size < crcSize) return this.#outOfRange(location, `a frame has at least ${crcSize} bytes`);
    const tail = this.#tail;
    if (tail?.section !== section) return undefined;
    if (offset + size > this.size) return this.#outOfRange(location, `the section ends at ${this.size}`);
    for (const buffer of [tail.active, tail.inFlight]) {
      if (buffer === undefined || offset < buffer.start) continue;
      const at = offset - buffer.start;
      if (at + size > buffer.used) return this.#outOfRange(location, 'no frame ends there');
      return Buffer.from(buffer.memory.subarray(at, at + size));
    }
    return undefined;
  }

  async #readFrames(
    section: number,
    indexes: readonly number[],
    wanted: readonly ValueLocation[],
    outcomes: (Buffer | Error)[],
  ): Promise<void> {
    try {
      const blob = await this.blobs.acquire(section);
      try {
        const inFile = indexes.filter((index) => {
          const { offset, size } = present(wanted[index], 'a location');
          return offset + size <= blob.size;
        });
        const reads = inFile.map((index) => {
          const { offset, size } = present(wanted[index], 'a location');
          return { offset, into: Buffer.allocUnsafe(size) };
        });
        await blob.readMany(reads);
        for (const [at, index] of inFile.entries()) outcomes[index] = present(reads[at], 'a read').into;
        for (const index of indexes) {
          if (outcomes[index] === notRead)
            outcomes[index] = this.#outOfRange(
              present(wanted[index], 'a location'),
              `the section has ${blob.size} bytes`,
            );
        }
      } finally {
        await this.blobs.release(section);
      }
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      for (const index of indexes) if (outcomes[index] === notRead) outcomes[index] = error;
    }
  }

  #check({ section, offset, size }: ValueLocation, bytes: Buffer, at: number): Buffer | Error {
    return intactData(bytes, at, size) ?? frameDamage(bytes.subarray(at, at + size), this.blobs.path(section), offset);
  }

  #outOfRange({ section, offset, size }: ValueLocation, why: string): BlobError {
    const file = this.blobs.path(section);
    return new BlobError('out-of-range', `${file}: no value of ${size} bytes at ${offset}: ${why}`, {
      details: { file, offset, size },
    });
  }

  #buffer(start: number): FrameBuffer {
    const memory = this.#spare ?? Buffer.allocUnsafeSlow(memorySizeMin);
    this.#spare = undefined;
    return { start, memory, used: 0 };
  }

  #present(): Tail {
    return present(this.#tail, 'the growing section');
  }
}

const notRead = new BlobError('out-of-range', 'value was not read');

/** The data of a frame whose checksum matches, or the error that says what does not. `offset` is for the message. */
export function checkFrame(frame: Buffer, path: string, offset: number): Buffer | BlobError {
  return intactData(frame, 0, frame.length) ?? frameDamage(frame, path, offset);
}

/** The data of a frame somewhere in memory, when its checksum matches. */
function intactData(bytes: Buffer, at: number, size: number): Buffer | undefined {
  const end = at + size - crcSize;
  const data = bytes.subarray(at, end);
  return crc32c(data) === bytes.readUInt32BE(end) ? data : undefined;
}

function frameDamage(frame: Buffer, path: string, offset: number): BlobError {
  const dataSize = frame.length - crcSize;
  return corruption(`value of ${frame.length} bytes`, {
    file: path,
    offset: offset + headerSize,
    expected: hex32(frame.readUInt32BE(dataSize)),
    found: hex32(crc32c(frame.subarray(0, dataSize))),
  });
}
