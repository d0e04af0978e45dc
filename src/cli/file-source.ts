import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../base/errors.ts';
import type { ImportItem, ImportRecord } from './import-item.ts';

export interface FileSourceSettings {
  /** Comes before the path of each file in its key. */
  readonly keyPrefix: string;
  /** A file of more bytes becomes several records, each of at most so many: see `partKey`. */
  readonly partBytesMax?: number | undefined;
}

/**
 * Every regular file below a directory, in the order of the names: one record each, whose key is the prefix and the
 * path from the directory with `/` between its parts. Symbolic links are not followed.
 */
export async function* filesBelow(directory: string, settings: FileSourceSettings): AsyncGenerator<ImportItem> {
  yield* filesIn(directory, '', settings);
}

/** Key of a part of a file that is larger than a value may be. Parts are numbered from 1. */
export function partKey(key: string, part: number, partCount: number): string {
  return `${key}#part-${part}-of-${partCount}`;
}

async function* filesIn(root: string, below: string, settings: FileSourceSettings): AsyncGenerator<ImportItem> {
  let entries: Awaited<ReturnType<typeof entriesOf>>;
  try {
    entries = await entriesOf(join(root, below));
  } catch (error) {
    yield { kind: 'failed', where: below === '' ? root : below, reason: messageOf(error) };
    return;
  }
  for (const entry of entries) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) yield* filesIn(root, path, settings);
    else if (entry.isFile()) yield* recordsOf(join(root, path), path, settings);
    else yield { kind: 'skipped', where: path, reason: 'not a regular file' };
  }
}

async function entriesOf(directory: string) {
  const entries = await readdir(directory, { withFileTypes: true });
  return entries.sort((left, right) => (left.name < right.name ? -1 : 1));
}

async function* recordsOf(file: string, path: string, settings: FileSourceSettings): AsyncGenerator<ImportItem> {
  const key = `${settings.keyPrefix}${path}`;
  try {
    const { size } = await stat(file);
    const partBytesMax = settings.partBytesMax ?? Number.POSITIVE_INFINITY;
    if (size > partBytesMax) yield* partsOf(file, path, key, size, partBytesMax);
    else yield { kind: 'record', where: path, key, size, part: false, load: () => readFile(file) };
  } catch (error) {
    yield { kind: 'failed', where: path, reason: messageOf(error) };
  }
}

function* partsOf(file: string, path: string, key: string, size: number, partSize: number): Generator<ImportRecord> {
  const partCount = Math.ceil(size / partSize);
  for (let part = 1; part <= partCount; part++) {
    const offset = (part - 1) * partSize;
    const length = Math.min(partSize, size - offset);
    yield {
      kind: 'record',
      where: `${path}, part ${part} of ${partCount}`,
      key: partKey(key, part, partCount),
      size: length,
      part: true,
      load: () => readRange(file, offset, length),
    };
  }
}

async function readRange(path: string, offset: number, length: number): Promise<Uint8Array> {
  const file = await open(path, 'r');
  try {
    const bytes = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await file.read(bytes, filled, length - filled, offset + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return bytes.subarray(0, filled);
  } finally {
    await file.close();
  }
}
