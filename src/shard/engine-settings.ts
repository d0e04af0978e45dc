/** How a shard runs its freezer: the fixed choices of the service, and the few that an operator may turn. */
import { hash } from 'node:crypto';
import type { FreezerSettings } from '../freezer/settings.ts';
import { tableFile as tableFileOf } from '../freezer/table-file.ts';
import { sectionName } from '../journal/section-blobs.ts';
import { type Envelope, envelopeCodec } from './envelope.ts';
import type { EngineParameters } from './identity.ts';

/** Sizes are bytes, the table is counted in buckets. */
export interface EngineSettings {
  /** Data bytes of a page of the key index. Part of the format: fixed when the shard is created. */
  readonly pageSize: number;
  /** Level of zstd, or undefined for none. On or off is part of the format, the level is not. */
  readonly compression: number | undefined;
  readonly pageCachePages: number;
  readonly keyWriteBuffer: number;
  readonly valueWriteBuffer: number;
  /** A section is left at the first put after its values reached this size. */
  readonly valueTargetSize: number;
  /** Buckets of a new table: a power of two. */
  readonly tableInitialSize: number;
  /** Puts in a bucket that make it worth resizing, 1 to 254. */
  readonly tableResizeFrequency: number;
  /** Buckets that one sync resizes. */
  readonly tableResizeChunkSize: number;
  readonly tableReplayBuffer: number;
  /** Changed buckets kept in memory between two syncs. */
  readonly tableChangesMax: number;
}

const kib = 1024;
const mib = 1024 * kib;

/** Bytes of an archive key: a SHA-256. */
export const archiveKeySize = 32;

/** Level of zstd for files that are compressed where the settings name none. */
const compressionLevel = 3;

export const engineDefaults: EngineSettings = {
  // With its 12 bytes of checksums a page of 4,084 bytes takes 4,096 on disk.
  pageSize: 4084,
  compression: undefined,
  pageCachePages: 16_384,
  keyWriteBuffer: mib,
  valueWriteBuffer: 8 * mib,
  valueTargetSize: 1024 * mib,
  tableInitialSize: 65_536,
  tableResizeFrequency: 4,
  // A resize of 2^20 buckets ends within one sync and costs it at most 116 MiB of table; a larger table takes
  // as many syncs as it has chunks.
  tableResizeChunkSize: 1_048_576,
  tableReplayBuffer: mib,
  tableChangesMax: 1_048_576,
};

export const partitions = { keyPartition: 'key', valuePartition: 'value', tablePartition: 'table' } as const;
export const partitionNames: readonly string[] = Object.values(partitions);
export const { tablePartition } = partitions;

/** Path of the table's one file below the shard. */
export const tableFile = tableFileOf(partitions);

/** Paths of a section's two files below the shard. */
export function sectionFiles(section: number): { readonly keys: string; readonly values: string } {
  const name = sectionName(section);
  return { keys: `${partitions.keyPartition}/${name}`, values: `${partitions.valuePartition}/${name}` };
}

export function freezerSettingsOf(engine: EngineSettings): FreezerSettings<Envelope> {
  const { pageSize, compression, pageCachePages, ...rest } = engine;
  return {
    ...partitions,
    ...rest,
    keySize: archiveKeySize,
    keyPageCache: { pageSize, pages: pageCachePages },
    valueCompression: compression,
    valueCodec: envelopeCodec,
  };
}

/** The part of the settings that identity.json fixes. */
export function engineParametersOf(engine: EngineSettings): EngineParameters {
  return { keySize: archiveKeySize, pageSize: engine.pageSize, compression: engine.compression !== undefined };
}

/** The settings for files that were made with these parameters. */
export function withParameters(engine: EngineSettings, parameters: EngineParameters): EngineSettings {
  const level = engine.compression ?? compressionLevel;
  return { ...engine, pageSize: parameters.pageSize, compression: parameters.compression ? level : undefined };
}

/** Under which key the engine stores a record. */
export function archiveKey(key: string): Buffer {
  return hash('sha256', key, 'buffer');
}
