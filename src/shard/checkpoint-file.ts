/**
 * The newest durable checkpoint of a shard, in a two-slot file, with what the next opening needs beside it.
 *
 * `epoch` 0 means that the shard is being created: no put was ever admitted. Creation ends with the first sync, whose
 * checkpoint is written to both slots, so that no later damage of one slot can look like an unfinished creation.
 *
 * The clean mark says that no file of the freezer was written after this checkpoint. It is cleared durably before the
 * first such write, and it counts only when both slots can be read: an unreadable one may have cleared it.
 */
import { CodecError } from '../codec/codec-error.ts';
import { isAllOnes64, readU64, u32Size, u64Size, writeAllOnes64, writeU64 } from '../codec/integer.ts';
import type { Disk } from '../disk/disk.ts';
import { type Checkpoint, checkpointSize, decodeCheckpoint, encodeCheckpoint } from '../freezer/checkpoint.ts';
import type { TableState } from '../freezer/start.ts';
import type { JournalEnd } from '../journal/journal-end.ts';
import { type SlotFormat, type SlotReading, TwoSlotFile } from './two-slot-file.ts';

export const checkpointFile = 'checkpoint';

export interface SavedCheckpoint {
  readonly checkpoint: Checkpoint;
  /** UUID of the shard that the checkpoint belongs to. */
  readonly instance: string;
  /** Bytes of the value journal in the checkpoint's section. */
  readonly valueBytes: number;
  /** The table's digests are in a file of their own. */
  readonly table: Omit<TableState, 'digests'>;
  /** Length of the table file when the checkpoint was made. */
  readonly tableBytes: number;
  /** Resize frequency that `table.resizable` was counted with. */
  readonly resizeFrequency: number;
  /** No file of the freezer was written after this checkpoint. */
  readonly clean: boolean;
  /** Wall clock of the sync; information only. */
  readonly savedAtMs: number;
}

/** Where the journals ended at the checkpoint. */
export function endOf(saved: SavedCheckpoint): JournalEnd {
  const { section, keyBytes } = saved.checkpoint;
  return { section, keyBytes, valueBytes: saved.valueBytes };
}

/** Whether the shard was still being created. */
export function isUnfinished(saved: SavedCheckpoint): boolean {
  return saved.checkpoint.epoch === 0;
}

const instanceSize = 16;
const instanceAt = checkpointSize;
const valueBytesAt = instanceAt + instanceSize;
const resizeProgressAt = valueBytesAt + u64Size;
const resizableAt = resizeProgressAt + u64Size;
const tableBytesAt = resizableAt + u64Size;
const savedAtAt = tableBytesAt + u64Size;
const resizeFrequencyAt = savedAtAt + u64Size;
const cleanAt = resizeFrequencyAt + 1;
const initialSizeAt = cleanAt + 1;
const payloadSize = initialSizeAt + u32Size;

const format: SlotFormat<SavedCheckpoint> = {
  magic: 'PFCP',
  version: 1,
  payloadSize,
  encode(saved, into) {
    encodeCheckpoint(saved.checkpoint).copy(into, 0);
    into.write(saved.instance.replaceAll('-', ''), instanceAt, 'hex');
    writeU64(into, saved.valueBytes, valueBytesAt);
    const progress = saved.table.resizeProgress;
    if (progress === undefined) writeAllOnes64(into, resizeProgressAt);
    else writeU64(into, progress, resizeProgressAt);
    writeU64(into, saved.table.resizable, resizableAt);
    writeU64(into, saved.tableBytes, tableBytesAt);
    writeU64(into, saved.savedAtMs, savedAtAt);
    into.writeUInt8(saved.resizeFrequency, resizeFrequencyAt);
    into.writeUInt8(saved.clean ? 1 : 0, cleanAt);
    into.writeUInt32BE(saved.table.initialSize, initialSizeAt);
  },
  decode(payload) {
    return {
      checkpoint: decodeCheckpoint(payload.subarray(0, checkpointSize)),
      instance: uuidOf(payload.toString('hex', instanceAt, instanceAt + instanceSize)),
      valueBytes: readU64(payload, valueBytesAt),
      table: {
        resizeProgress: isAllOnes64(payload, resizeProgressAt) ? undefined : readU64(payload, resizeProgressAt),
        resizable: readU64(payload, resizableAt),
        initialSize: payload.readUInt32BE(initialSizeAt),
      },
      tableBytes: readU64(payload, tableBytesAt),
      savedAtMs: readU64(payload, savedAtAt),
      resizeFrequency: payload.readUInt8(resizeFrequencyAt),
      clean: payload.readUInt8(cleanAt) === 1,
    };
  },
};

export type CheckpointFile = TwoSlotFile<SavedCheckpoint>;

/** The newest readable checkpoint, or undefined when there is no file; without a readable slot it is `damaged`. */
export function readCheckpointFile(disk: Disk): Promise<SlotReading<SavedCheckpoint> | undefined> {
  return TwoSlotFile.read(disk, checkpointFile, format);
}

/** See `TwoSlotFile.damage`. */
export function checkpointDamage(disk: Disk): Promise<readonly string[]> {
  return TwoSlotFile.damage(disk, checkpointFile, format);
}

export function createCheckpointFile(disk: Disk, saved: SavedCheckpoint): Promise<CheckpointFile> {
  return TwoSlotFile.create(disk, checkpointFile, format, saved);
}

export function openCheckpointFile(disk: Disk): Promise<CheckpointFile> {
  return TwoSlotFile.open(disk, checkpointFile, format);
}

function uuidOf(hex: string): string {
  if (hex.length !== 2 * instanceSize) throw new CodecError('malformed', `a UUID has ${instanceSize} bytes`);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
