import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CliError } from './cli-error.ts';
import { type Compression, compressionEndings } from './compression.ts';
import {
  type ExportManifest,
  type ExportPart,
  exportManifestFile,
  readExportManifest,
  writeExportManifest,
} from './export-manifest.ts';
import { type ExportBounds, ExportLines, type ExportPorts, type ExportSource, writeLines } from './export-run.ts';

export interface ExportDirectorySettings {
  readonly archive: string;
  readonly bounds: ExportBounds;
  readonly compression: Compression;
  /** Bytes of lines in a part, about. */
  readonly partBytes: number;
}

/**
 * An export in parts, in a directory of its own.
 *
 * States: new or begun → complete. A part is whole before the list names it, so a run that was cut short goes on behind
 * the last part that is named; what it had begun to write is written anew. A directory with anything else is refused.
 */
export class ExportDirectory {
  readonly #path: string;
  readonly #settings: ExportDirectorySettings;
  #manifest: ExportManifest;

  private constructor(path: string, settings: ExportDirectorySettings, manifest: ExportManifest) {
    this.#path = path;
    this.#settings = settings;
    this.#manifest = manifest;
  }

  /** The directory, begun or to be begun. Errors: CliError `unwritable-output` if it holds something else. */
  static async open(path: string, settings: ExportDirectorySettings): Promise<ExportDirectory> {
    await mkdir(path, { recursive: true });
    const { fromMs, toMs } = settings.bounds;
    const times = { ...(fromMs === undefined ? {} : { fromMs }), ...(toMs === undefined ? {} : { toMs }) };
    const { archive } = settings;
    const fresh: ExportManifest = {
      ...{ v: 1, kind: 'permafrost-export', archive, instances: {} },
      ...times,
      ...{ parts: [], lostCount: 0, complete: false },
    };
    const begun = await readExportManifest(path);
    if (begun === undefined) {
      const names = (await readdir(path)).filter((name) => !isOwn(name));
      if (names.length > 0) throw refused(path, `it holds ${names[0]}, and no ${exportManifestFile}`);
      return new ExportDirectory(path, settings, fresh);
    }
    if (begun.archive !== archive || begun.fromMs !== fromMs || begun.toMs !== toMs)
      throw refused(path, 'it holds an export of another archive or time');
    if (begun.complete) throw refused(path, 'the export in it is complete');
    return new ExportDirectory(path, settings, begun);
  }

  /** Writes what is missing. After an interruption it can be called again, with the same directory. */
  async write(sources: readonly ExportSource[], ports: ExportPorts): Promise<void> {
    let lostCount = 0;
    const checking: ExportPorts = {
      ...ports,
      start: (shard, instance, recordCount) => {
        this.#requireInstance(shard, instance);
        ports.start(shard, instance, recordCount);
      },
      lost: (shard, reason) => {
        lostCount++;
        ports.lost(shard, reason);
      },
    };
    for (const source of sources) await this.#writeShard(source, checking);
    if (ports.interrupted.aborted) return;
    this.#manifest = { ...this.#manifest, lostCount, complete: true };
    await writeExportManifest(this.#path, this.#manifest);
  }

  async #writeShard(source: ExportSource, ports: ExportPorts): Promise<void> {
    const after = this.#manifest.parts.findLast(({ shard }) => shard === source.shard)?.upTo;
    const lines = new ExportLines(source, this.#settings.bounds, after, ports);
    try {
      while (!lines.ended && !ports.interrupted.aborted) await this.#writePart(source.shard, lines);
    } finally {
      await lines.close();
    }
  }

  async #writePart(shard: number, lines: ExportLines): Promise<void> {
    const { compression, partBytes } = this.#settings;
    const number = String(this.#manifest.parts.length + 1).padStart(6, '0');
    const file = `part-${number}.ndjson${compressionEndings[compression]}`;
    const before = lines.tally.exported;
    const written = await this.#writeFile(file, lines, before, partBytes, compression);
    const { upTo } = lines;
    if (written === undefined || upTo === undefined) return;
    const part: ExportPart = { file, records: lines.tally.exported - before, ...written, shard, upTo };
    this.#manifest = { ...this.#manifest, parts: [...this.#manifest.parts, part] };
    await writeExportManifest(this.#path, this.#manifest);
  }

  /** A part without a line is none. */
  async #writeFile(file: string, lines: ExportLines, before: number, bytes: number, compression: Compression) {
    const hasLines = (): boolean => lines.tally.exported > before;
    return writeLines(lines.take(bytes), join(this.#path, file), compression, hasLines);
  }

  #requireInstance(shard: number, instance: string): void {
    const known = this.#manifest.instances[shard];
    if (known !== undefined && known !== instance)
      throw refused(this.#path, `it holds another volume's shard ${shard}`);
    this.#manifest = { ...this.#manifest, instances: { ...this.#manifest.instances, [shard]: instance } };
  }
}

/** What a run that was cut short may leave. */
function isOwn(name: string): boolean {
  return name === `${exportManifestFile}.new` || /^part-\d{6}\.ndjson(\.gz|\.zst)?(\.partial)?$/.test(name);
}

function refused(path: string, reason: string): CliError {
  const message = `${path} cannot take the export: ${reason}; name an empty directory`;
  return new CliError('unwritable-output', message);
}
