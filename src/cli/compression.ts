import type { Transform } from 'node:stream';
import { createGunzip, createGzip, createZstdCompress, createZstdDecompress } from 'node:zlib';

/** How a file is compressed. */
export type Compression = 'none' | 'gzip' | 'zstd';

/** Ending of a file's name for each. */
export const compressionEndings: Readonly<Record<Compression, string>> = { none: '', gzip: '.gz', zstd: '.zst' };

/** What the end of the name says: `.gz`, `.zst`, or neither. */
export function compressionOf(name: string): Compression {
  if (name.endsWith('.gz')) return 'gzip';
  return name.endsWith('.zst') || name.endsWith('.zstd') ? 'zstd' : 'none';
}

/** Streams that compress; none if nothing is to be done. */
export function compressors(compression: Compression): readonly Transform[] {
  if (compression === 'gzip') return [createGzip()];
  return compression === 'zstd' ? [createZstdCompress()] : [];
}

/** Streams that undo it. */
export function decompressors(compression: Compression): readonly Transform[] {
  if (compression === 'gzip') return [createGunzip()];
  return compression === 'zstd' ? [createZstdDecompress()] : [];
}
