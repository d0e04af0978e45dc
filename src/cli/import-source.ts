/** What an import reads: the files of a directory, an export in a directory, a file of lines, or standard input. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { messageOf } from '../base/errors.ts';
import { CliError } from './cli-error.ts';
import { compressionOf, decompressors } from './compression.ts';
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
  if (path === '-') return { kind: 'lines', items: prefixed(recordsIn(input, settings.lineBytesMax), settings) };
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
  { lineBytesMax }: ImportSourceSettings,
  told: (chunk: Buffer) => void = () => {},
): AsyncGenerator<ImportItem> {
  const bytes = new PassThrough();
  const stop = new AbortController();
  const tap = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      told(chunk);
      done(null, chunk);
    },
  });
  const file = createReadStream(path, { highWaterMark: 1 << 18 });
  const work = pipeline([file, tap, ...decompressors(compressionOf(path)), bytes], { signal: stop.signal });
  // It fails the reading below as well, and is told there.
  work.catch(() => {});
  try {
    yield* recordsIn(bytes, lineBytesMax);
    await work;
  } catch (error) {
    throw unreadable(path, error);
  } finally {
    stop.abort();
  }
}

function unreadable(path: string, error: unknown): CliError {
  return new CliError('unreadable-input', `${path} cannot be read: ${messageOf(error)}`, { cause: error });
}
