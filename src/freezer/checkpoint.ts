import { CodecError } from '../codec/codec-error.ts';
import { readU64, u32Size, u64Size, writeU64 } from '../codec/integer.ts';

/** What a sync made durable: with it a store is restored after a shutdown or a crash. FORMAT.md section 9. */
export interface Checkpoint {
  /** Number of the sync interval that it ends; the first is 1. */
  readonly epoch: number;
  /** Section that records went to. */
  readonly section: number;
  /** Payload bytes of the key journal in that section. */
  readonly keyBytes: number;
  /** Buckets of the table: a power of two. */
  readonly tableSize: number;
}

const sectionAt = u64Size;
const keyBytesAt = sectionAt + u64Size;
const tableSizeAt = keyBytesAt + u64Size;
export const checkpointSize = tableSizeAt + u32Size;

export function encodeCheckpoint(checkpoint: Checkpoint): Buffer {
  const bytes = Buffer.allocUnsafe(checkpointSize);
  writeU64(bytes, checkpoint.epoch, 0);
  writeU64(bytes, checkpoint.section, sectionAt);
  writeU64(bytes, checkpoint.keyBytes, keyBytesAt);
  bytes.writeUInt32BE(checkpoint.tableSize, tableSizeAt);
  return bytes;
}

/** The checkpoint in exactly 28 bytes; any other length, or a field above 2^53, is a CodecError. */
export function decodeCheckpoint(bytes: Buffer): Checkpoint {
  if (bytes.length !== checkpointSize)
    throw new CodecError('malformed', `a checkpoint has ${checkpointSize} bytes, found ${bytes.length}`);
  return {
    epoch: readU64(bytes, 0),
    section: readU64(bytes, sectionAt),
    keyBytes: readU64(bytes, keyBytesAt),
    tableSize: bytes.readUInt32BE(tableSizeAt),
  };
}
