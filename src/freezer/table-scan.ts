/**
 * The scan of the table after a crash: reads every bucket and says what must become of it. Writes nothing.
 *
 * At checkpoint N a slot may be of an epoch up to N, or of N + 1: the sync that was interrupted wrote it. Anything
 * newer proves that the checkpoint is not the store's latest (H5). Slots of N + 1 are cleared. A damaged slot is
 * *explained* when its bucket was changed by records behind the checkpoint that hang on the other slot's head: then
 * the interrupted sync may have torn it, and the other slot decides. Any other damaged slot, also one that a resize
 * chunk may have torn, makes its bucket one to be derived from the key index: rot and a torn write look the same.
 *
 * With the digests that were saved with the checkpoint, each window of buckets is held against its own: a head that
 * became zeros, or that an older page took with it, looks like nothing at all in the bucket itself. Where they differ,
 * or cannot be compared because a bucket is damaged, the whole window is to be derived.
 *
 * Behind the table's end lie the copies of a running resize, one after each further length of the table: a closing sync may
 * have finished one resize and begun the next. What is there and not newer than N is a copy of the bucket; anything else
 * proves that the checkpoint names another table size (H6).
 */
import { yieldToLoop } from '../base/yield.ts';
import type { Blob } from '../blob/blob.ts';
import { corruption } from '../blob/blob-error.ts';
import { headerSize } from '../blob/header.ts';
import type { JournalEnd } from '../journal/journal-end.ts';
import type { Checkpoint } from './checkpoint.ts';
import { FreezerError } from './freezer-error.ts';
import { digestOf, HeadDigests } from './head-digests.ts';
import { PlainWindows } from './plain-window.ts';
import type { ContinuedHeads } from './replayed-records.ts';
import { bucketError, tableBytes } from './table.ts';
import { bucketSize, clearSlot, newestSlot, readSlot, type Slot, slotOffset, slotState } from './table-entry.ts';
import { TableMirror } from './table-mirror.ts';

export interface ScanRequest {
  readonly checkpoint: Checkpoint;
  /** End of the journals at the checkpoint: no head lies behind it. */
  readonly end: JournalEnd;
  readonly recordSize: number;
  readonly resizeFrequency: number;
  /** Memory up to which the heads are mirrored; the mirror's own limit if not given. */
  readonly mirrorBytesMax: number | undefined;
  /** Buckets changed behind the checkpoint, each with the `next` of its first record there. */
  readonly touched: ContinuedHeads;
  readonly stepBytes: number;
  /** What the heads added up to at the checkpoint; without them a bucket whose slots are good is believed. */
  readonly digests: HeadDigests | undefined;
  readonly progress: ((done: number, total: number, phase: string) => void) | undefined;
}

/** A bucket as it must be taken, in place of what the file has. */
export interface MendedBucket {
  readonly bucket: number;
  readonly bytes: Buffer;
}

export interface ScanResult {
  readonly mended: readonly MendedBucket[];
  /** Buckets whose head only the key index can tell, as the file has them. */
  readonly underivable: readonly MendedBucket[];
  /** Buckets, mended ones included and underivable ones not, whose count reached the resize frequency. */
  readonly resizable: number;
  /** Of all buckets but the underivable ones. */
  readonly digests: HeadDigests;
  /** The heads of all windows that have no underivable bucket; none when the table is too large. */
  readonly mirror: TableMirror | undefined;
}

/** Buckets that are derived in memory, some hundred bytes each. A table that lost more is made anew, on disk. */
const derivedMax = 2 ** 18;

type Verdict = 'as-is' | 'mended' | 'derive';

export async function scanTable(blob: Blob, request: ScanRequest): Promise<ScanResult> {
  const { tableSize } = request.checkpoint;
  const { windowBuckets } = request.digests ?? HeadDigests.ofEmpty(tableSize);
  const found = new ScanFindings(
    blob.path,
    request,
    new HeadDigests(windowBuckets, new Uint32Array(tableSize / windowBuckets)),
  );
  const stepCount = Math.max(1, Math.floor(request.stepBytes / tableBytes(windowBuckets))) * windowBuckets;
  for await (const { first, count, bytes, copies } of piecesOf(blob, tableSize, Math.min(stepCount, tableSize))) {
    for (let index = 0; index < count; index += windowBuckets) {
      const [start, end] = [tableBytes(index), tableBytes(index + windowBuckets)];
      const its = copies.map((copy) => copy.subarray(start, end));
      found.take(first + index, bytes.subarray(start, end), its);
    }
    request.progress?.(first + count, tableSize, 'table scan');
    await yieldToLoop();
  }
  return found;
}

/** Buckets that lie behind each other, and in the same places what the file has of their copies. */
interface Piece {
  readonly first: number;
  readonly count: number;
  readonly bytes: Buffer;
  readonly copies: readonly Buffer[];
}

/** The table piece by piece, the next one read while one is looked at. The bytes are good until the next is asked for. */
async function* piecesOf(blob: Blob, tableSize: number, stepCount: number): AsyncGenerator<Piece> {
  let [memory, other] = [Buffer.allocUnsafe(tableBytes(stepCount)), Buffer.allocUnsafe(tableBytes(stepCount))];
  let coming = readPiece(blob, tableSize, 0, memory);
  for (let next = stepCount; next < tableSize; next += stepCount) {
    const piece = await coming;
    [memory, other] = [other, memory];
    coming = readPiece(blob, tableSize, next, memory.subarray(0, tableBytes(Math.min(stepCount, tableSize - next))));
    // When it fails nobody may be there any more to be told: what was found in the piece before comes first.
    coming.catch(() => undefined);
    yield piece;
  }
  yield await coming;
}

async function readPiece(blob: Blob, tableSize: number, first: number, bytes: Buffer): Promise<Piece> {
  const count = bytes.length / bucketSize;
  await blob.read(tableBytes(first), bytes);
  const copies: Buffer[] = [];
  for (let behind = tableSize; tableBytes(behind) < blob.size; behind += tableSize)
    copies.push(await readCopies(blob, behind + first, count));
  return { first, count, bytes, copies };
}

/** What is known so far, window by window. */
class ScanFindings implements ScanResult {
  readonly #file: string;
  readonly #request: ScanRequest;
  readonly #plain: PlainWindows;
  readonly digests: HeadDigests;
  readonly mirror: TableMirror | undefined;
  readonly mended: MendedBucket[] = [];
  readonly underivable: MendedBucket[] = [];
  resizable = 0;

  constructor(file: string, request: ScanRequest, digests: HeadDigests) {
    this.#file = file;
    this.#request = request;
    this.digests = digests;
    this.mirror = TableMirror.of(digests.tableSize, digests.windowBuckets, request.mirrorBytesMax);
    const { checkpoint, end, recordSize, resizeFrequency } = request;
    const recordCount = end.keyBytes / recordSize;
    this.#plain = new PlainWindows({ epoch: checkpoint.epoch, section: end.section, recordCount, resizeFrequency });
  }

  /** Takes the window that begins with bucket `first`. */
  take(first: number, bytes: Buffer, copies: readonly Buffer[]): void {
    const window = this.digests.windowOf(first);
    if (this.#plain.isPlain(bytes, copies, this.#request.digests?.of(window))) {
      this.digests.put(window, this.#plain.digest);
      this.resizable += this.#plain.resizable;
    } else if (!this.#judgeWindow(first, bytes, copies)) return;
    this.mirror?.load(window, bytes);
  }

  /** Says of each bucket what must become of it. False when one of them is to be derived. */
  #judgeWindow(first: number, bytes: Buffer, copies: readonly Buffer[]): boolean {
    const indices = Array.from({ length: bytes.length / bucketSize }, (_, index) => index);
    const isUsed = (at: number): boolean => !isBlank(bytes, at) || copies.some((copy) => !isBlank(copy, at));
    const verdicts = indices.map((index): Verdict => {
      const at = tableBytes(index);
      return isUsed(at) ? judge(this.#file, bytes, at, first + index, this.#request) : 'as-is';
    });
    const isWrong = this.#isWrong(first, bytes, verdicts);
    for (const index of indices) {
      const at = tableBytes(index);
      const verdict = isWrong ? 'derive' : (verdicts[index] ?? 'derive');
      if (isUsed(at)) checkCopies(bytes, copies, at, first + index, verdict, this.#request);
      this.#add(first + index, bytes, at, verdict);
    }
    return !isWrong && !verdicts.includes('derive');
  }

  #isWrong(first: number, bytes: Buffer, verdicts: readonly Verdict[]): boolean {
    const { digests } = this.#request;
    if (digests === undefined) return false;
    return verdicts.includes('derive') || digestOf(bytes) !== digests.of(digests.windowOf(first));
  }

  #derive(bucket: MendedBucket): void {
    if (this.underivable.length === derivedMax) {
      throw corruption('table', {
        file: this.#file,
        offset: headerSize,
        expected: `at most ${derivedMax} buckets to derive from the key index`,
        found: 'more: the table as a whole has to be made anew',
      });
    }
    this.underivable.push(bucket);
  }

  #add(bucket: number, bytes: Buffer, at: number, verdict: Verdict): void {
    if (verdict !== 'as-is') {
      const copy = { bucket, bytes: Buffer.from(bytes.subarray(at, at + bucketSize)) };
      if (verdict === 'mended') this.mended.push(copy);
      else this.#derive(copy);
    }
    if (verdict === 'derive') return;
    const head = newestSlot(bytes, at);
    if (head === undefined) return;
    if (head.added >= this.#request.resizeFrequency) this.resizable++;
    this.digests.change(bucket, undefined, head);
  }
}

/** Clears, in the buffer, what does not belong to the checkpoint. */
function judge(file: string, bytes: Buffer, at: number, bucket: number, request: ScanRequest): Verdict {
  const offsets = [slotOffset(at, 0), slotOffset(at, 1)] as const;
  const states = offsets.map((offset) => slotState(bytes, offset));
  const isNewer = offsets.map(
    (offset, index) => states[index] === 'valid' && checkSlot(bytes, offset, bucket, request),
  );
  if (isNewer[0] && isNewer[1]) throw stale(bucket, 'an older slot', 'two slots newer than the checkpoint');
  for (const [index, offset] of offsets.entries()) if (isNewer[index]) clearSlot(bytes, offset);
  const damaged = states.filter((state) => state === 'damaged').length;
  if (damaged === 0) {
    checkEpochsDiffer(file, bytes, at, bucket);
    return isNewer[0] || isNewer[1] ? 'mended' : 'as-is';
  }
  if (damaged === 2 || isNewer[0] || isNewer[1]) return 'derive';
  const damagedAt = states[0] === 'damaged' ? offsets[0] : offsets[1];
  const otherAt = states[0] === 'damaged' ? offsets[1] : offsets[0];
  const other = states.includes('valid') ? readSlot(bytes, otherAt) : undefined;
  if (!isExplained(bucket, other, request)) return 'derive';
  clearSlot(bytes, damagedAt);
  return 'mended';
}

/** Whether a valid slot is of the interrupted epoch. One that no state of this store explains is refused. */
function checkSlot(bytes: Buffer, offset: number, bucket: number, request: ScanRequest): boolean {
  const slot = readSlot(bytes, offset);
  const { epoch } = request.checkpoint;
  if (slot.epoch > epoch + 1) throw stale(bucket, `epochs up to ${epoch + 1}`, `epoch ${slot.epoch}`);
  if (slot.epoch > epoch) return true;
  const { section, keyBytes } = request.end;
  const inside =
    slot.section < section || (slot.section === section && (slot.position + 1) * request.recordSize <= keyBytes);
  if (!inside)
    throw stale(
      bucket,
      `a head before record ${keyBytes / request.recordSize} of section ${section}`,
      `${slot.section}/${slot.position}`,
    );
  return false;
}

function isExplained(bucket: number, other: Slot | undefined, request: ScanRequest): boolean {
  if (!request.touched.has(bucket)) return false;
  const next = request.touched.get(bucket);
  return next?.section === other?.section && next?.position === other?.position;
}

/** The copies of buckets behind the table's end, from copy `first` on; zeros where the file has none. */
async function readCopies(blob: Blob, first: number, count: number): Promise<Buffer> {
  const copies = Buffer.alloc(count * bucketSize);
  const from = tableBytes(first);
  const size = Math.min(copies.length, blob.size - from);
  if (size > 0) await blob.read(from, copies.subarray(0, size));
  return copies;
}

/**
 * Refuses a copy that is not the bucket's, unless digests vouch for the bucket. A damaged one says nothing: copies are cut
 * and made anew.
 */
function checkCopies(
  bytes: Buffer,
  copies: readonly Buffer[],
  at: number,
  bucket: number,
  verdict: Verdict,
  request: ScanRequest,
): void {
  for (const [index, copy] of copies.entries())
    checkCopy(bytes, copy, at, bucket, bucket + (index + 1) * request.checkpoint.tableSize, verdict, request);
}

function checkCopy(
  bytes: Buffer,
  copies: Buffer,
  at: number,
  bucket: number,
  copyBucket: number,
  verdict: Verdict,
  { checkpoint: { epoch }, digests }: ScanRequest,
): void {
  const slots: Slot[] = [];
  for (const offset of [slotOffset(at, 0), slotOffset(at, 1)]) {
    const state = slotState(copies, offset);
    if (state === 'damaged') return;
    if (state === 'valid') slots.push(readSlot(copies, offset));
  }
  const newer = slots.find((slot) => slot.epoch > epoch + 1);
  if (newer !== undefined) throw stale(copyBucket, `epochs up to ${epoch + 1}`, `epoch ${newer.epoch}`);
  const kept = slots.filter((slot) => slot.epoch <= epoch);
  if (verdict === 'derive' || digests !== undefined || kept.length === 0) return;
  const copy = kept.reduce((left, right) => (left.epoch > right.epoch ? left : right));
  const own = newestSlot(bytes, at);
  if (own?.epoch === copy.epoch && own.section === copy.section && own.position === copy.position) return;
  throw stale(copyBucket, `a copy of bucket ${bucket}`, `a head of its own, ${copy.section}/${copy.position}`);
}

function checkEpochsDiffer(file: string, bytes: Buffer, at: number, bucket: number): void {
  const [first, second] = [slotOffset(at, 0), slotOffset(at, 1)];
  if (slotState(bytes, first) === 'empty' || slotState(bytes, second) === 'empty') return;
  if (readSlot(bytes, first).epoch === readSlot(bytes, second).epoch) throw bucketError(file, bucket, bytes, at);
}

function stale(bucket: number, expected: string, found: string): FreezerError {
  return new FreezerError(
    'checkpoint-mismatch',
    `the checkpoint is not this store's latest: bucket ${bucket} has ${found}, expected ${expected}`,
    { details: { bucket, expected, found } },
  );
}

const blankBucket = Buffer.alloc(bucketSize);

function isBlank(bytes: Buffer, at: number): boolean {
  return bytes.readUInt32BE(at + 4) === 0 && blankBucket.compare(bytes, at, at + bucketSize) === 0;
}
