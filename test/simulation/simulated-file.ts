import { assert } from '../../src/base/assert.ts';
import { Content } from './content.ts';
import type { Fate } from './survival.ts';

/** `abandoned`: a sync that covered it failed. The kernel holds it for written; the disk may have it, or not. */
type ChangeState = 'pending' | 'synced' | 'abandoned';

interface FileChange {
  readonly number: number;
  readonly offset: number;
  readonly end: number;
  /** What was written over `[offset, end)`; `undefined` stands for zeros, which is what a cut leaves. */
  readonly bytes: Buffer | undefined;
  readonly sizeBefore: number;
  readonly sizeAfter: number;
  readonly state: ChangeState;
}

/**
 * One file (the inode, whatever its names are): what a read sees, and what the platter is known to have.
 *
 * `#durable` is the platter before the first change of `#changes`; the changes are in the order they were made. Synced
 * ones at the front are folded into `#durable`, so a list that is not empty starts with a change that can be lost.
 */
export class SimulatedFile {
  readonly kind = 'file';
  #current: Content;
  #durable: Content;
  #changes: FileChange[] = [];
  #lastNumber = 0;
  readonly #writing = new Set<{ readonly offset: number; readonly end: number }>();

  constructor(content = new Content()) {
    this.#current = content;
    this.#durable = content.copy();
  }

  get size(): number {
    return this.#current.size;
  }

  /** Changes that a power loss may take back. */
  get undurableCount(): number {
    return this.#changes.filter((change) => change.state !== 'synced').length;
  }

  /** Number of the newest change: what a sync that is issued now covers. */
  get lastNumber(): number {
    return this.#lastNumber;
  }

  read(offset: number, into: Uint8Array): number {
    return this.#current.read(offset, into);
  }

  toBuffer(): Buffer {
    return this.#current.toBuffer();
  }

  /** Keeps `bytes`; the caller does not change them any more. */
  write(offset: number, bytes: Buffer): void {
    const sizeBefore = this.size;
    this.#current.write(offset, bytes);
    this.#changed({ offset, end: offset + bytes.length, bytes, sizeBefore, sizeAfter: this.size });
  }

  truncate(size: number): void {
    const sizeBefore = this.size;
    this.#current.resize(size);
    this.#changed({ offset: size, end: Math.max(size, sizeBefore), bytes: undefined, sizeBefore, sizeAfter: size });
  }

  /** The changes up to a number are durable, except those that an earlier sync has lost. */
  sync(upTo: number): void {
    this.#turn(upTo, 'synced');
    const lossy = this.#changes.findIndex((change) => change.state !== 'synced');
    const folded = this.#changes.splice(0, lossy < 0 ? this.#changes.length : lossy);
    for (const change of folded) {
      if (change.bytes !== undefined) this.#durable.write(change.offset, change.bytes);
      this.#durable.resize(change.sizeAfter);
    }
  }

  /** A sync of the changes up to a number failed. */
  abandon(upTo: number): void {
    this.#turn(upTo, 'abandoned');
  }

  /** Puts other content in place, durable at once. */
  replace(bytes: Uint8Array): void {
    this.#current = Content.of(bytes);
    this.#durable = this.#current.copy();
    this.#changes = [];
  }

  /** The same file in the same state, for another disk. */
  copy(): SimulatedFile {
    const copied = new SimulatedFile(this.#current.copy());
    copied.#durable = this.#durable.copy();
    copied.#changes = [...this.#changes];
    copied.#lastNumber = this.#lastNumber;
    return copied;
  }

  /** The file as the platter has it after a power loss. `drawFate` is asked only when something can be lost. */
  surviving(drawFate: (count: number) => Fate): SimulatedFile {
    if (this.#changes.length === 0) return new SimulatedFile(this.#durable.copy());
    const fate = drawFate(this.undurableCount);
    const content = this.#durable.copy();
    let size = content.size;
    let loose: FileChange[] = [];
    for (const change of this.#changes) {
      if (change.state === 'synced') {
        applyPart(content, change, change.offset, change.end);
        size = change.sizeAfter;
        loose = [];
      } else {
        for (const part of fate.parts(change.offset, change.end)) applyPart(content, change, part.offset, part.end);
        loose.push(change);
      }
    }
    content.resize(survivingSize(size, loose, fate));
    return new SimulatedFile(content);
  }

  /** Marks a range as being written until the function that is returned is called. */
  startWriting(offset: number, end: number): () => void {
    for (const other of this.#writing) {
      assert(
        end <= other.offset || other.end <= offset,
        `writes of ${offset}..${end} and ${other.offset}..${other.end} run side by side`,
      );
    }
    const range = { offset, end };
    this.#writing.add(range);
    return () => this.#writing.delete(range);
  }

  #changed(change: Omit<FileChange, 'number' | 'state'>): void {
    this.#changes.push({ ...change, number: ++this.#lastNumber, state: 'pending' });
  }

  #turn(upTo: number, state: ChangeState): void {
    this.#changes = this.#changes.map((change) =>
      change.state === 'pending' && change.number <= upTo ? { ...change, state } : change,
    );
  }
}

function applyPart(content: Content, change: FileChange, offset: number, end: number): void {
  if (change.bytes === undefined) content.clear(offset, end);
  else content.write(offset, change.bytes.subarray(offset - change.offset, end - change.offset));
}

function survivingSize(durableSize: number, loose: readonly FileChange[], fate: Fate): number {
  const change = loose[fate.sizeAt(loose.length) - 1];
  return change === undefined ? durableSize : fate.sizeBetween(change.sizeBefore, change.sizeAfter);
}
