import type { Transform } from 'node:stream';
import { constants, createGzip, createZstdCompress } from 'node:zlib';

/** How a file is compressed. */
export type Compression = 'none' | 'gzip' | 'zstd';

/** Ending of a file's name for each. */
export const compressionEndings: Readonly<Record<Compression, string>> = { none: '', gzip: '.gz', zstd: '.zst' };

/** What the end of the name says: `.gz`, `.zst`, or neither. */
export function compressionOf(name: string): Compression {
  if (name.endsWith('.gz')) return 'gzip';
  return name.endsWith('.zst') || name.endsWith('.zstd') ? 'zstd' : 'none';
}

/** By itself zstd writes no checksum, and a flipped bit would go unnoticed; gzip always has one. */
const zstdOptions = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };

/** Streams that compress; none if nothing is to be done. */
export function compressors(compression: Compression): readonly Transform[] {
  if (compression === 'gzip') return [createGzip()];
  return compression === 'zstd' ? [createZstdCompress(zstdOptions)] : [];
}
