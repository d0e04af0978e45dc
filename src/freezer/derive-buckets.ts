/**
 * Buckets that the table cannot tell, made anew from the key index.
 *
 * Where records behind the checkpoint changed a bucket, the first of them names its head. For the others one pass over
 * the key index finds the newest record of each. A good slot's head may be newer than that: after a resize two buckets
 * share a chain, and the newer head leads to all records of both.
 */
import type { Blob } from '../blob/blob.ts';
import type { JournalEnd } from '../journal/journal-end.ts';
import type { JournalFiles } from '../journal/journal-files.ts';
import { KeyIndex, type RecordPosition } from '../journal/key-index.ts';
import type { Checkpoint } from './checkpoint.ts';
import { visitKeys } from './derive-heads.ts';
import type { FreezerHooks } from './hooks.ts';
import { isBefore, isSamePlace, readRecordOf } from './key-record.ts';
import type { ContinuedHeads } from './replayed-records.ts';
import { bucketError } from './table.ts';
import {
  bucketSize,
  clearSlot,
  newestSlotAt,
  readSlot,
  type Slot,
  type SlotIndex,
  slotOffset,
  slotState,
  writeSlot,
} from './table-entry.ts';
import type { MendedBucket } from './table-scan.ts';

export interface Derivation {
  readonly files: JournalFiles;
  readonly blob: Blob;
  readonly keySize: number;
  readonly checkpoint: Checkpoint;
  readonly committed: JournalEnd;
  /** Heads at the checkpoint that records behind it name. */
  readonly touched: ContinuedHeads;
  /**
   * Digests vouch for the table: a bucket of a window that differs from its own may hold anything, and a tear of what is
   * made of it now shows against them again, or is refused. Without them a good slot is believed, and is not written over.
   */
  readonly isVouched: boolean;
  readonly hooks: FreezerHooks;
}

const cachePages = 64;

/** The buckets as they must be taken, with the heads that they had at the checkpoint. */
export async function deriveBuckets(
  derivation: Derivation,
  damaged: readonly MendedBucket[],
): Promise<readonly MendedBucket[]> {
  if (damaged.length === 0) return [];
  const newest = await newestRecords(derivation, damaged);
  const { files, touched } = derivation;
  const index = new KeyIndex(files.keys, { pageSize: files.pageSize, recordSize: files.layout.size, cachePages });
  const derived: MendedBucket[] = [];
  for (const found of damaged) {
    const record = newest.get(found.bucket);
    const good = goodSlot(found.bytes);
    const isOwn = good !== undefined && (await leadsTo(derivation, index, good, record));
    const head = touched.has(found.bucket) ? touched.get(found.bucket) : newerOf(isOwn ? good : undefined, record);
    derived.push(bucketWith(derivation, found, { good, isOwn }, head));
  }
  return derived;
}

/** The newest record of each bucket that no record behind the checkpoint tells of. */
async function newestRecords(
  { files, keySize, checkpoint, committed, touched, hooks }: Derivation,
  damaged: readonly MendedBucket[],
): Promise<ReadonlyMap<number, RecordPosition | undefined>> {
  const newest = new Map<number, RecordPosition | undefined>();
  for (const { bucket } of damaged) if (!touched.has(bucket)) newest.set(bucket, undefined);
  if (newest.size === 0) return newest;
  const visit = (hash: number, section: number, position: number): void => {
    const bucket = (hash & (checkpoint.tableSize - 1)) >>> 0;
    if (newest.has(bucket)) newest.set(bucket, { section, position });
  };
  await visitKeys(files, keySize, committed, visit, hooks.progress);
  hooks.logger?.warn({ buckets: newest.size }, 'damaged buckets derived from the key index');
  return newest;
}

/** The newest slot of a bucket whose checksum matches. */
function goodSlot(bytes: Buffer): Slot | undefined {
  const valid = Buffer.from(bytes);
  for (const at of slotsAt) if (slotState(valid, at) === 'damaged') clearSlot(valid, at);
  const newest = newestSlotAt(valid, 0);
  return newest === undefined ? undefined : readSlot(valid, newest);
}

/** Whether the slot can be the bucket's own: its chain leads down to the newest record of the bucket. */
async function leadsTo(
  { files, keySize, isVouched }: Derivation,
  index: KeyIndex,
  good: Slot,
  record: RecordPosition | undefined,
): Promise<boolean> {
  if (!isVouched) return true;
  if (record === undefined) return false;
  let at: RecordPosition | undefined = good;
  while (at !== undefined && isBefore(record, at)) {
    const [bytes]: readonly (Buffer | Error | undefined)[] = await index.readMany([at]);
    if (!(bytes instanceof Buffer)) return false;
    const { next } = readRecordOf(files.keys.path(at.section), at.position, bytes, keySize);
    at = next !== undefined && isBefore(next, at) ? next : undefined;
  }
  return isSamePlace(at, record);
}

function newerOf(good: Slot | undefined, derived: RecordPosition | undefined): RecordPosition | undefined {
  if (good === undefined || derived === undefined) return good ?? derived;
  return isBefore(good, derived) ? derived : good;
}

const slotsAt = [slotOffset(0, 0), slotOffset(0, 1)] as const;

/**
 * The bucket with this head. A good slot of its own stays as it is where that is possible: while the other one is
 * written, a tear must not leave two slots that cannot be told apart.
 */
function bucketWith(
  { blob, checkpoint: { epoch }, isVouched }: Derivation,
  { bucket, bytes }: MendedBucket,
  { good, isOwn }: { readonly good: Slot | undefined; readonly isOwn: boolean },
  head: RecordPosition | undefined,
): MendedBucket {
  const mended = Buffer.from(bytes);
  const states = slotsAt.map((at) => slotState(bytes, at));
  for (const [slot, at] of slotsAt.entries()) if (states[slot] === 'damaged') clearSlot(mended, at);
  if (isSamePlace(good, head)) return { bucket, bytes: mended };
  const free: SlotIndex | undefined = states[0] !== 'valid' ? 0 : states[1] !== 'valid' ? 1 : undefined;
  const fits = free !== undefined && head !== undefined && (good === undefined || (isOwn && good.epoch < epoch));
  if (fits) {
    writeSlot(mended, slotOffset(0, free), { epoch, section: head.section, position: head.position, added: 0 });
    return { bucket, bytes: mended };
  }
  if (!isVouched) throw bucketError(blob.path, bucket, bytes, 0);
  const anew = Buffer.alloc(bucketSize);
  if (head !== undefined) writeSlot(anew, 0, { epoch, section: head.section, position: head.position, added: 0 });
  return { bucket, bytes: anew };
}
