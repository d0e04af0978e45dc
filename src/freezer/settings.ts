import type { ValueCodec } from './value-codec.ts';

/**
 * Settings of a freezer. The first group is part of the format: it must be the same for the life of a store.
 * Sizes are bytes; the table is counted in buckets.
 */
export interface FreezerSettings<V> {
  readonly keyPartition: string;
  readonly valuePartition: string;
  readonly tablePartition: string;
  /** Bytes of every key, 1 to 65,535. */
  readonly keySize: number;
  /** `pageSize`: data bytes of a page of the key index, 1 to 65,535 (part of the format); `pages`: pages kept in memory. */
  readonly keyPageCache: { readonly pageSize: number; readonly pages: number };
  /** Level of zstd, or undefined for none. Levels may change over the life of a store, on or off may not. */
  readonly valueCompression?: number | undefined;
  readonly valueCodec: ValueCodec<V>;

  /** Key index bytes collected in memory before whole pages are written without a commit. */
  readonly keyWriteBuffer: number;
  /** Value bytes collected in memory before they are written without a commit. */
  readonly valueWriteBuffer: number;
  /** A section is left at the first put after its values reached this size. At least 1. */
  readonly valueTargetSize: number;
  /** Buckets of a new table: a power of two, 1 to 2^31. */
  readonly tableInitialSize: number;
  /** Puts in a bucket that make it worth resizing, 1 to 254. */
  readonly tableResizeFrequency: number;
  /** Buckets that one sync resizes, at least 1. */
  readonly tableResizeChunkSize: number;
  /** Bytes that one step of a table scan reads. */
  readonly tableReplayBuffer: number;
  /** Changed buckets kept in memory between two syncs; a put beyond it is the error `sync-required`. */
  readonly tableChangesMax: number;
}
