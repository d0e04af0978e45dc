/** The door `permafrost/freezer`: the engine by itself, usable without Redis. */

export { BlobError } from '../blob/blob-error.ts';
export type { Disk, DiskFile, DiskRead, DiskStat, DiskWrite } from '../disk/disk.ts';
export { DiskError } from '../disk/disk-error.ts';
export { NodeDisk } from '../disk/node-disk.ts';
export type { JournalEnd } from '../journal/journal-end.ts';
export type { RecordPosition } from '../journal/key-index.ts';
export { type Checkpoint, checkpointSize, decodeCheckpoint, encodeCheckpoint } from './checkpoint.ts';
export { type Cursor, cursorSize, decodeCursor, encodeCursor } from './cursor.ts';
export {
  type Appended,
  type Entry,
  Freezer,
  type FreezerCounters,
  type SaveCheckpoint,
  type SaveMark,
} from './freezer.ts';
export { FreezerError, type FreezerErrorCode } from './freezer-error.ts';
export { HeadDigests } from './head-digests.ts';
export type { FreezerHooks } from './hooks.ts';
export type { Identifier, Lookup } from './lookup.ts';
export type { Version } from './reader.ts';
export { rebuildTable } from './rebuild.ts';
export type { StoredRecord } from './records.ts';
export { type Loss, type Salvaged, salvage } from './salvage.ts';
export type { FreezerSettings } from './settings.ts';
export type { FreezerStart, TableState } from './start.ts';
export { bytesCodec, fixedBytesCodec, int32Codec, type ValueCodec } from './value-codec.ts';
