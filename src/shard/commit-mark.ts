/**
 * The commit mark: where the *previous* commit ended, written together with the fsyncs of each commit.
 *
 * What it names was durable before it was written, so it is true from its first byte on, whichever slot survives. Below
 * it nothing may be missing; only what lies beyond it may be a torn tail. Its sequence is the number of the commit that
 * wrote it.
 */
import { readU64, u64Size, writeU64 } from '../codec/integer.ts';
import type { Disk } from '../disk/disk.ts';
import type { JournalEnd } from '../journal/journal-end.ts';
import { type SlotFormat, type SlotReading, TwoSlotFile } from './two-slot-file.ts';

export const commitMarkFile = 'commit-mark';

const keyBytesAt = u64Size;
const valueBytesAt = keyBytesAt + u64Size;
const payloadSize = valueBytesAt + u64Size;

const format: SlotFormat<JournalEnd> = {
  magic: 'PFCM',
  version: 1,
  payloadSize,
  encode(end, into) {
    writeU64(into, end.section, 0);
    writeU64(into, end.keyBytes, keyBytesAt);
    writeU64(into, end.valueBytes, valueBytesAt);
  },
  decode: (payload) => ({
    section: readU64(payload, 0),
    keyBytes: readU64(payload, keyBytesAt),
    valueBytes: readU64(payload, valueBytesAt),
  }),
};

export type CommitMark = TwoSlotFile<JournalEnd>;

export function readCommitMark(disk: Disk): Promise<SlotReading<JournalEnd> | undefined> {
  return TwoSlotFile.read(disk, commitMarkFile, format);
}

/** See `TwoSlotFile.damage`. */
export function commitMarkDamage(disk: Disk): Promise<readonly string[]> {
  return TwoSlotFile.damage(disk, commitMarkFile, format);
}

export function createCommitMark(disk: Disk, end: JournalEnd): Promise<CommitMark> {
  return TwoSlotFile.create(disk, commitMarkFile, format, end);
}

/** Opens the mark; a missing or wholly unreadable file is `damaged`. */
export function openCommitMark(disk: Disk): Promise<CommitMark> {
  return TwoSlotFile.open(disk, commitMarkFile, format);
}
