/** What an import reads: the files of a directory, an export in a directory, a file of lines, or standard input. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { messageOf } from '../base/errors.ts';
import { CliError } from './cli-error.ts';
import { compressionOf } from './compression.ts';
import { decompressed } from './decompress.ts';
import { type ExportManifest, exportManifestFile, readExportManifest } from './export-manifest.ts';
import { filesBelow } from './file-source.ts';
import type { ImportItem } from './import-item.ts';
import { recordsIn } from './record-source.ts';

export interface ImportSourceSettings {
  /** Comes before each key. */
  readonly keyPrefix: string;
  readonly lineBytesMax: number;
}

/** `export`: lines that `permafrost export` wrote, all versions of a key in their order. */
export interface ImportSource {
  readonly kind: 'files' | 'lines' | 'export';
  readonly items: AsyncIterable<ImportItem>;
}

/** Errors: CliError `unreadable-input`, also while the items are read. */
export async function importSource(
  path: string,
  input: Readable,
  settings: ImportSourceSettings,
): Promise<ImportSource> {
  if (path === '-') return { kind: 'lines', items: prefixed(itemsOf(input, 'standard input', settings), settings) };
  const found = await stat(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  if (!found.isDirectory()) return { kind: 'lines', items: prefixed(linesOfFile(path, settings), settings) };
  const manifest = await readExportManifest(path);
  if (manifest === undefined) return { kind: 'files', items: filesBelow(path, settings) };
  return { kind: 'export', items: prefixed(linesOfExport(path, manifest, settings), settings) };
}

async function* prefixed(
  items: AsyncIterable<ImportItem>,
  { keyPrefix }: ImportSourceSettings,
): AsyncGenerator<ImportItem> {
  for await (const item of items) yield item.kind === 'record' ? { ...item, key: `${keyPrefix}${item.key}` } : item;
}

/** The records of each part, in their order. A part whose bytes are not what the list says is a failed item at its end. */
async function* linesOfExport(
  directory: string,
  manifest: ExportManifest,
  settings: ImportSourceSettings,
): AsyncGenerator<ImportItem> {
  for (const { file, sha256 } of manifest.parts) {
    const digest = createHash('sha256');
    for await (const item of linesOfFile(join(directory, file), settings, (chunk) => digest.update(chunk)))
      yield { ...item, where: `${file}, ${item.where}` };
    const reason = `its SHA-256 is not the one in ${exportManifestFile}`;
    if (digest.digest('hex') !== sha256) yield { kind: 'failed', where: file, reason };
  }
  const reason = 'the export was not finished; run permafrost export into it again';
  if (!manifest.complete) yield { kind: 'failed', where: exportManifestFile, reason };
}

async function* linesOfFile(
  path: string,
  settings: ImportSourceSettings,
  told: (chunk: Buffer) => void = () => {},
): AsyncGenerator<ImportItem> {
  yield* itemsOf(decompressed(bytesOf(path, told), compressionOf(path)), path, settings);
}

/** All lines before a damage, and then the error that says where it is. */
async function* itemsOf(
  bytes: AsyncIterable<Uint8Array>,
  name: string,
  { lineBytesMax }: ImportSourceSettings,
): AsyncGenerator<ImportItem> {
  let last: string | undefined;
  try {
    for await (const item of recordsIn(bytes, lineBytesMax)) {
      yield item;
      last = item.where;
    }
  } catch (error) {
    const place = last === undefined ? '' : ` after ${last}`;
    throw unreadable(name, error, place);
  }
}

async function* bytesOf(path: string, told: (chunk: Buffer) => void): AsyncGenerator<Buffer> {
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 18 })) {
    told(chunk);
    yield chunk;
  }
}

function unreadable(name: string, error: unknown, place = ''): CliError {
  return new CliError('unreadable-input', `${name} cannot be read${place}: ${messageOf(error)}`, { cause: error });
}
