/**
 * The quick way through the scan of the table: the windows that a crash left alone, which are most of them.
 *
 * A window is plain when the scan would find nothing in it. Each slot is empty, or has a matching checksum, an epoch up to
 * the checkpoint's and a head before the end of the journals. No bucket has two slots of one epoch. The heads have the
 * digest that was saved. The copies behind the table's end are the same bytes, or zeros. Everything else, also what is
 * only unusual (numbers from 2^32 on), is for the scan to judge bucket by bucket.
 */
import { slotDigest } from './head-digests.ts';
import {
  bucketSize,
  hasChecksum,
  isEmpty,
  isOfLowNumbers,
  lowEpoch,
  lowPosition,
  lowSection,
  slotAdded,
  slotSize,
} from './table-entry.ts';

/** What the slots of a plain window stay below. */
export interface PlainLimits {
  /** Epoch of the checkpoint. */
  readonly epoch: number;
  /** Where the journals end at the checkpoint: the section, and the records that it has. */
  readonly section: number;
  readonly recordCount: number;
  /** Count of puts from which on a bucket is worth a resize. */
  readonly resizeFrequency: number;
}

/** In the place of a slot's epoch; none has 0. */
const empty = 0;
const unusual = -1;

export class PlainWindows {
  readonly #limits: PlainLimits;
  #digest = 0;
  #resizable = 0;

  constructor(limits: PlainLimits) {
    this.#limits = limits;
  }

  /** Of the last window that was plain. */
  get digest(): number {
    return this.#digest;
  }

  /** Buckets of the last window that was plain whose count reached the resize frequency. */
  get resizable(): number {
    return this.#resizable;
  }

  /** Whether a window is plain; `expected` is its digest, when it was saved. */
  isPlain(bytes: Buffer, copies: readonly Buffer[], expected: number | undefined): boolean {
    this.#digest = 0;
    this.#resizable = 0;
    for (let at = 0; at < bytes.length; at += bucketSize) if (!this.#takeBucket(bytes, at)) return false;
    if (expected !== undefined && this.#digest >>> 0 !== expected) return false;
    return copies.every((copy) => copy.equals(bytes) || isBlank(copy));
  }

  #takeBucket(bytes: Buffer, at: number): boolean {
    const first = this.#epochOf(bytes, at);
    const second = this.#epochOf(bytes, at + slotSize);
    if (first === unusual || second === unusual) return false;
    if (first === second) return first === empty;
    const newest = first > second ? at : at + slotSize;
    this.#digest = (this.#digest + slotDigest(bytes, newest)) | 0;
    if (slotAdded(bytes, newest) >= this.#limits.resizeFrequency) this.#resizable++;
    return true;
  }

  /** Epoch of a slot as the checkpoint may have it. */
  #epochOf(bytes: Buffer, at: number): number {
    if (isEmpty(bytes, at)) return empty;
    const epoch = lowEpoch(bytes, at);
    const { epoch: epochMax, section, recordCount } = this.#limits;
    if (!isOfLowNumbers(bytes, at) || epoch === empty || epoch > epochMax) return unusual;
    const headSection = lowSection(bytes, at);
    const isInside = headSection < section || (headSection === section && lowPosition(bytes, at) < recordCount);
    return isInside && hasChecksum(bytes, at) ? epoch : unusual;
  }
}

function isBlank(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += slotSize) if (!isEmpty(bytes, at)) return false;
  return true;
}
