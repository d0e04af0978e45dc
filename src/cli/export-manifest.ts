/**
 * `permafrost-export.json`: what a directory with an export holds.
 *
 * It is replaced after each part, so it never names a part that is not whole; a run that is cut short goes on behind the
 * last one that it names.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, messageOf } from '../base/errors.ts';
import type { ExportPlace } from '../shard/export.ts';
import { CliError } from './cli-error.ts';
import { durableRename } from './durable-rename.ts';

export const exportManifestFile = 'permafrost-export.json';

export interface ExportPart {
  /** Name of the file in the directory. */
  readonly file: string;
  readonly records: number;
  /** Bytes of the file, and their SHA-256. */
  readonly bytes: number;
  readonly sha256: string;
  readonly shard: number;
  /** The last record of the shard that this part and those before it take account of. */
  readonly upTo: ExportPlace;
}

export interface ExportManifest {
  readonly v: 1;
  readonly kind: 'permafrost-export';
  readonly archive: string;
  /** Instance ids of the shards, by their numbers. */
  readonly instances: Readonly<Record<string, string>>;
  /** Bounds on the time of archival, in milliseconds since the Unix epoch; left out where there is none. */
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly parts: readonly ExportPart[];
  /** Records and pieces that could not be read in the run that completed it. */
  readonly lostCount: number;
  /** Whether it came to its end. */
  readonly complete: boolean;
}

/** The manifest of the directory, if it has one. Errors: CliError `unreadable-input`. */
export async function readExportManifest(directory: string): Promise<ExportManifest | undefined> {
  const path = join(directory, exportManifestFile);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw unreadable(path, messageOf(error), error);
  }
  try {
    return checked(JSON.parse(text));
  } catch (error) {
    throw unreadable(path, messageOf(error), error);
  }
}

/** Replaces the manifest. */
export async function writeExportManifest(directory: string, manifest: ExportManifest): Promise<void> {
  const path = join(directory, exportManifestFile);
  await writeFile(`${path}.new`, `${JSON.stringify(manifest, null, 2)}\n`, { flush: true });
  await durableRename(`${path}.new`, path);
}

/** A name that stays in the directory: what a manifest says is not trusted with paths. */
const partName = /^part-\d{6}\.ndjson(?:\.gz|\.zst)?$/;

function checked(found: unknown): ExportManifest {
  if (typeof found !== 'object' || found === null) throw new CliError('unreadable-input', 'it is no JSON object');
  const manifest = found as ExportManifest;
  if (manifest.kind !== 'permafrost-export' || manifest.v !== 1 || !Array.isArray(manifest.parts))
    throw new CliError('unreadable-input', 'it is not the list of an export that this version knows');
  for (const { file, sha256 } of manifest.parts) {
    if (!partName.test(file) || !/^[0-9a-f]{64}$/.test(sha256))
      throw new CliError('unreadable-input', 'it names a part that is none');
  }
  return manifest;
}

function unreadable(path: string, reason: string, cause: unknown): CliError {
  return new CliError('unreadable-input', `${path} cannot be read: ${reason}`, { cause });
}
