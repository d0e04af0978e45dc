import type { FreezerSettings } from '../../src/freezer/settings.ts';
import { int32Codec } from '../../src/freezer/value-codec.ts';

/** Settings of the original's own tests: keys of 64 bytes, values of 32 bits. */
export const namedSettings: FreezerSettings<number> = {
  keyPartition: 'key',
  valuePartition: 'value',
  tablePartition: 'table',
  keySize: 64,
  keyPageCache: { pageSize: 1024, pages: 10 },
  valueCodec: int32Codec,
  keyWriteBuffer: 1024,
  valueWriteBuffer: 1024,
  valueTargetSize: 10 * 1024 * 1024,
  tableInitialSize: 256,
  tableResizeFrequency: 4,
  tableResizeChunkSize: 128,
  tableReplayBuffer: 64 * 1024,
  tableChangesMax: 4096,
};

/** The name, padded with zero bytes to a key. */
export function key(name: string): Buffer {
  const bytes = Buffer.alloc(namedSettings.keySize);
  bytes.write(name, 'ascii');
  return bytes;
}

/** Buckets of a table with two stretches of windows that are read together. */
export const stretchedBuckets = 2048;

/** Such a table, of which a sync resizes one stretch. */
export const stretchedSettings = {
  ...namedSettings,
  tableInitialSize: stretchedBuckets,
  tableResizeFrequency: 1,
  tableResizeChunkSize: stretchedBuckets / 2,
};
