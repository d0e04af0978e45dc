/**
 * Writes the records of shards as lines of JSON, a shard after the other, each in the order of its archive.
 *
 * States: reading → writing → done, or stopped by an interruption. A step of the source is taken only when its target
 * has room, so memory does not grow with the archive. A file has its name only when it is whole and on disk.
 */
import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { encodeCursor } from '../freezer/cursor.ts';
import { formatCursor } from '../protocol/cursor-text.ts';
import { versionLabel } from '../queue/put-id.ts';
import type { ExportPlace, ExportStep } from '../shard/export.ts';
import { type Compression, compressors } from './compression.ts';
import { durableRename } from './durable-rename.ts';

/** One shard to export. */
export interface ExportSource {
  readonly shard: number;
  steps(): AsyncGenerator<ExportStep>;
}

export interface ExportBounds {
  /** Only records that were archived at this time or later, and before the other one. */
  readonly fromMs: number | undefined;
  readonly toMs: number | undefined;
}

export interface ExportTally {
  readonly exported: number;
  /** Records outside of the bounds, or exported before. */
  readonly passedOver: number;
  readonly lost: number;
  /** Bytes of the exported payloads. */
  readonly bytes: number;
}

export interface ExportPorts {
  start(shard: number, instance: string, recordCount: number): void;
  lost(shard: number, reason: string): void;
  step(tally: ExportTally): void;
  readonly interrupted: AbortSignal;
}

/** What a finished file holds. */
export interface WrittenFile {
  readonly bytes: number;
  readonly sha256: string;
}

/** Bytes of lines that are handed on together. */
const chunkBytes = 1 << 16;

/** The lines of one shard, which are taken part by part. */
export class ExportLines {
  readonly #source: ExportSource;
  readonly #bounds: ExportBounds;
  readonly #after: ExportPlace | undefined;
  readonly #ports: ExportPorts;
  readonly #steps: AsyncGenerator<ExportStep>;
  readonly #tally = { exported: 0, passedOver: 0, lost: 0, bytes: 0 };
  #upTo: ExportPlace | undefined;
  #ended = false;

  /** `after`: records up to this place were exported before. */
  constructor(source: ExportSource, bounds: ExportBounds, after: ExportPlace | undefined, ports: ExportPorts) {
    this.#source = source;
    this.#bounds = bounds;
    this.#after = after;
    this.#ports = ports;
    this.#steps = source.steps();
    this.#upTo = after;
  }

  get tally(): ExportTally {
    return this.#tally;
  }

  /** Whether the shard was read to its end. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Place of the last record that was taken. */
  get upTo(): ExportPlace | undefined {
    return this.#upTo;
  }

  /** Lines until there are about so many bytes of them, or no more. */
  async *take(bytesMax: number): AsyncGenerator<Buffer> {
    let lines: string[] = [];
    let size = 0;
    let total = 0;
    while (total < bytesMax && !this.#ports.interrupted.aborted) {
      const next = await this.#steps.next();
      if (next.done === true) {
        this.#ended = true;
        break;
      }
      const line = this.#lineOf(next.value);
      if (line === undefined) continue;
      lines.push(line);
      size += line.length;
      total += line.length;
      if (size < chunkBytes) continue;
      yield Buffer.from(lines.join(''));
      lines = [];
      size = 0;
      this.#ports.step(this.#tally);
    }
    if (lines.length > 0) yield Buffer.from(lines.join(''));
    this.#ports.step(this.#tally);
  }

  /** Lets go of the shard. */
  async close(): Promise<void> {
    await this.#steps.return(undefined);
  }

  #lineOf(step: ExportStep): string | undefined {
    const { shard } = this.#source;
    if (step.kind === 'start') {
      this.#ports.start(shard, step.instance, step.recordCount);
      return undefined;
    }
    if (step.kind === 'lost') {
      this.#tally.lost++;
      this.#ports.lost(shard, step.reason);
      return undefined;
    }
    if (isUpTo(step.place, this.#after) || !this.#isWithin(step.envelope.archivedAtMs)) {
      this.#tally.passedOver++;
      return undefined;
    }
    this.#upTo = step.place;
    this.#tally.exported++;
    this.#tally.bytes += step.envelope.payload.length;
    return lineOf(step, shard);
  }

  #isWithin(timeMs: number): boolean {
    const { fromMs = 0, toMs = Number.POSITIVE_INFINITY } = this.#bounds;
    return timeMs >= fromMs && timeMs < toMs;
  }
}

function isUpTo(place: ExportPlace, last: ExportPlace | undefined): boolean {
  if (last === undefined) return false;
  return place.section < last.section || (place.section === last.section && place.position <= last.position);
}

/** `text` where the payload is UTF-8, else `value` in base64; either way exactly the bytes that were archived. */
function lineOf({ envelope, cursor }: Extract<ExportStep, { kind: 'record' }>, shard: number): string {
  const { key, payload, archivedAtMs, putId, recordIndex } = envelope;
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
  const value = isUtf8(bytes) ? { text: bytes.toString() } : { value: bytes.toString('base64') };
  const origin = { put: versionLabel(putId, recordIndex), cursor: formatCursor(shard, encodeCursor(cursor)) };
  return `${JSON.stringify({ key, ...value, time: archivedAtMs, ...origin })}\n`;
}

/**
 * Writes the lines into a file: under another name first, under its own when all of it is on disk. When they turn
 * out not to be whole, there is no file and the result is `undefined`.
 */
export async function writeLines(
  lines: AsyncIterable<Buffer>,
  path: string,
  compression: Compression,
  areWhole: () => boolean = () => true,
): Promise<WrittenFile | undefined> {
  const unfinished = `${path}.partial`;
  const digest = createHash('sha256');
  const tap = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      digest.update(chunk);
      done(null, chunk);
    },
  });
  try {
    await pipeline([
      Readable.from(lines),
      ...compressors(compression),
      tap,
      createWriteStream(unfinished, { flush: true }),
    ]);
    const { size } = await stat(unfinished);
    if (!areWhole()) {
      await rm(unfinished);
      return undefined;
    }
    await durableRename(unfinished, path);
    return { bytes: size, sha256: digest.digest('hex') };
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}
