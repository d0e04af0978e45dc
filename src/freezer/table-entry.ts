/**
 * A bucket of the table: two slots, each the head of the bucket's chain at the end of some epoch. FORMAT.md section 5.
 *
 * Functions work in place on a buffer that holds buckets. A slot is empty (all zeros), valid (its checksum matches)
 * or damaged. Within one epoch a bucket uses one slot only; the other keeps the state before that epoch.
 */
import { crcSize } from '../codec/crc32c.ts';
import { readU64, u8Size, u32Size, u64Size, writeU64 } from '../codec/integer.ts';
import { ShortChecksum } from '../codec/short-checksum.ts';

const epochAt = 0;
const sectionAt = epochAt + u64Size;
const positionAt = sectionAt + u64Size;
const addedAt = positionAt + u64Size;
const crcAt = addedAt + u8Size;
export const slotSize = crcAt + crcSize;
export const bucketSize = 2 * slotSize;

/** Puts in a bucket since its last reset are counted up to this. */
const addedMax = 255;

export interface Slot {
  readonly epoch: number;
  readonly section: number;
  readonly position: number;
  readonly added: number;
}

export type SlotIndex = 0 | 1;
export type SlotState = 'empty' | 'valid' | 'damaged';

const checksum = new ShortChecksum(crcAt);

export function slotOffset(bucketOffset: number, slot: SlotIndex): number {
  return bucketOffset + slot * slotSize;
}

export function isEmpty(bytes: Buffer, at: number): boolean {
  if (u32(bytes, at + u64Size / 2) !== 0) return false;
  for (let index = at; index < at + slotSize; index++) if (bytes[index] !== 0) return false;
  return true;
}

/** Whether the slot's checksum matches; that of an empty one does not. */
export function hasChecksum(bytes: Buffer, at: number): boolean {
  return checksum.of(bytes, at) === u32(bytes, at + crcAt);
}

export function slotState(bytes: Buffer, at: number): SlotState {
  if (isEmpty(bytes, at)) return 'empty';
  if (!hasChecksum(bytes, at)) return 'damaged';
  return fits(bytes, at + epochAt) && fits(bytes, at + sectionAt) && fits(bytes, at + positionAt) ? 'valid' : 'damaged';
}

/** Whether a 64-bit field lies below 2^53. */
function fits(bytes: Buffer, at: number): boolean {
  return u32(bytes, at) <= 0x1f_ffff;
}

/** Why a bucket cannot be used: a slot with a bad checksum, or two valid slots of one epoch. */
export type BucketDamage = { readonly kind: 'checksum'; readonly slot: SlotIndex } | { readonly kind: 'equal-epochs' };

export function bucketDamage(bytes: Buffer, at: number): BucketDamage | undefined {
  const first = slotState(bytes, at);
  if (first === 'damaged') return { kind: 'checksum', slot: 0 };
  const second = slotState(bytes, at + slotSize);
  if (second === 'damaged') return { kind: 'checksum', slot: 1 };
  const equal = first === 'valid' && second === 'valid' && slotEpoch(bytes, at) === slotEpoch(bytes, at + slotSize);
  return equal ? { kind: 'equal-epochs' } : undefined;
}

export function slotEpoch(bytes: Buffer, at: number): number {
  return readU64(bytes, at + epochAt);
}

export function readSlot(bytes: Buffer, at: number): Slot {
  return {
    epoch: slotEpoch(bytes, at),
    section: readU64(bytes, at + sectionAt),
    position: readU64(bytes, at + positionAt),
    added: slotAdded(bytes, at),
  };
}

export function writeSlot(bytes: Buffer, at: number, slot: Slot): void {
  writeU64(bytes, slot.epoch, at + epochAt);
  writeU64(bytes, slot.section, at + sectionAt);
  writeU64(bytes, slot.position, at + positionAt);
  bytes.writeUInt8(slot.added, at + addedAt);
  bytes.writeUInt32BE(checksum.of(bytes, at), at + crcAt);
}

export function clearSlot(bytes: Buffer, at: number): void {
  bytes.fill(0, at, at + slotSize);
}

/** The newest slot of a bucket without damage; `undefined` when both are empty. */
export function newestSlot(bytes: Buffer, at: number): Slot | undefined {
  const newest = newestSlotAt(bytes, at);
  return newest === undefined ? undefined : readSlot(bytes, newest);
}

/** Offset of the slot with the higher epoch that is not empty, whatever else is in it; `undefined` when both are empty. */
export function newestSlotAt(bytes: Buffer, at: number): number | undefined {
  const second = at + slotSize;
  if (isEmpty(bytes, second)) return isEmpty(bytes, at) ? undefined : at;
  return !isEmpty(bytes, at) && isNewer(bytes, at, second) ? at : second;
}

/** Whether the epoch of the slot at `at` is higher than that of the other; neither needs to be below 2^53. */
function isNewer(bytes: Buffer, at: number, other: number): boolean {
  const high = u32(bytes, at + epochAt);
  const otherHigh = u32(bytes, other + epochAt);
  return high === otherHigh ? lowEpoch(bytes, at) > lowEpoch(bytes, other) : high > otherHigh;
}

/** Whether epoch, section and position of a slot lie below 2^32: then their low bits are all there is of them. */
export function isOfLowNumbers(bytes: Buffer, at: number): boolean {
  const high = u32(bytes, at + epochAt) | u32(bytes, at + sectionAt) | u32(bytes, at + positionAt);
  return high === 0;
}

/** The low 32 bits of a slot's epoch. */
export function lowEpoch(bytes: Buffer, at: number): number {
  return u32(bytes, at + epochAt + u32Size);
}

/** The low 32 bits of a slot's section. */
export function lowSection(bytes: Buffer, at: number): number {
  return u32(bytes, at + sectionAt + u32Size);
}

/** The low 32 bits of a slot's position. */
export function lowPosition(bytes: Buffer, at: number): number {
  return u32(bytes, at + positionAt + u32Size);
}

/** Puts that the slot counts. */
export function slotAdded(bytes: Buffer, at: number): number {
  return bytes.readUInt8(at + addedAt);
}

/** The slot that a write of the epoch goes to: its own if it has one, else an empty one, else the older. */
export function slotForEpoch(bytes: Buffer, at: number, epoch: number): SlotIndex {
  const first = !isEmpty(bytes, at);
  const second = !isEmpty(bytes, at + slotSize);
  if (first && slotEpoch(bytes, at) === epoch) return 0;
  if (second && slotEpoch(bytes, at + slotSize) === epoch) return 1;
  if (!first) return 0;
  if (!second) return 1;
  return slotEpoch(bytes, at) < slotEpoch(bytes, at + slotSize) ? 0 : 1;
}

/** Count of puts after one more. */
export function addedAfterPut(added: number): number {
  return Math.min(addedMax, added + 1);
}

/** As `readUInt32BE`, of bytes that are there: a scan reads millions of them, and has no time to ask. */
function u32(bytes: Buffer, at: number): number {
  return (
    (((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0
  );
}
