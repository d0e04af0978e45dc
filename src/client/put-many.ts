import { randomUUID } from 'node:crypto';
import type { PutOutcome } from '../protocol/receipts.ts';
import { shardCountOf } from '../protocol/topology.ts';
import type { WaitOptions } from './call.ts';
import { type Chunk, Chunker } from './chunker.ts';
import { ClientError } from './client-error.ts';
import { jobFrameBytes, type PutOptions, type Puts, type RecordReceipt } from './puts.ts';
import { type ClientRecord, encodeRecord } from './record.ts';
import { type Source, SourceReader } from './record-source.ts';
import { type ClientSettings, whole } from './settings.ts';

export interface PutManyOptions extends WaitOptions {
  readonly ifExists?: PutOptions['ifExists'];
  /** JSON bytes a job aims at. Default: 192 KiB; above that Redis gains nothing. */
  readonly jobBytes?: number;
  /** Records a job at most. Default: the limit of the contract. */
  readonly recordCountMax?: number;
  /** How long a record of a slow source waits for others. Default: 20 ms. */
  readonly lingerMs?: number;
  /** Jobs sent and not yet answered. Default: 32. */
  readonly inFlightJobCountMax?: number;
  /** Called for each job that is on disk, with the position in the source of each record. */
  readonly onStored?: (records: readonly StoredRecord[]) => void;
}

export interface StoredRecord extends RecordReceipt {
  /** Place in the source, from 0. */
  readonly position: number;
}

/** What became of all records of a `putMany`. */
export interface PutManySummary {
  readonly recordCount: number;
  readonly jobCount: number;
  /** Records by outcome. */
  readonly outcomes: Readonly<Record<PutOutcome, number>>;
}

const jobBytesDefault = 196_608;
const lingerMsDefault = 20;
const inFlightDefault = 32;

/**
 * Puts a stream of records in jobs of a good size, a bounded number at a time.
 *
 * States: reading → draining (source ended, or a job failed) → done. Reading waits while `inFlightJobCountMax` jobs are
 * unanswered. At the first failure nothing more is read or sent; the jobs in flight are awaited, then the failure is
 * thrown. Records of jobs that were answered are on disk either way.
 */
export class PutMany {
  readonly #puts: Puts;
  readonly #settings: ClientSettings;
  readonly #options: PutManyOptions;
  readonly #chunker: Chunker;
  readonly #inFlightMax: number;
  readonly #lingerMs: number;
  readonly #inFlight = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  readonly #outcomes = { stored: 0, unchanged: 0, kept: 0 };
  #recordCount = 0;
  #jobCount = 0;
  #openSinceMs = 0;
  #failure: unknown;

  constructor(puts: Puts, settings: ClientSettings, options: PutManyOptions) {
    const { limits } = settings;
    this.#puts = puts;
    this.#settings = settings;
    this.#options = options;
    this.#lingerMs = whole('lingerMs', options.lingerMs ?? lingerMsDefault, 0, 60_000);
    this.#inFlightMax = whole('inFlightJobCountMax', options.inFlightJobCountMax ?? inFlightDefault, 1, 1024);
    const room = Math.max(1, limits.jobBytesMax - jobFrameBytes);
    const jobBytes = whole('jobBytes', options.jobBytes ?? Math.min(jobBytesDefault, room), 1, room);
    const recordCountMax = options.recordCountMax ?? limits.recordCountMax;
    this.#chunker = new Chunker({
      jobBytes,
      recordCountMax: whole('recordCountMax', recordCountMax, 1, limits.recordCountMax),
    });
  }

  /** Reads the source to its end and resolves when every record is on disk. */
  async run(source: Source<ClientRecord>): Promise<PutManySummary> {
    const reader = new SourceReader(source, this.#settings.clock);
    const signal = this.#options.signal;
    const abort = (): void =>
      this.#fail(new ClientError('aborted', 'aborted by its signal', { cause: signal?.reason }));
    if (signal?.aborted === true) abort();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      await this.#read(reader);
    } catch (error) {
      this.#fail(error);
    }
    await Promise.all(this.#inFlight);
    signal?.removeEventListener('abort', abort);
    if (this.#stop.signal.aborted) {
      await reader.close();
      throw this.#failure;
    }
    return { recordCount: this.#recordCount, jobCount: this.#jobCount, outcomes: this.#outcomes };
  }

  async #read(reader: SourceReader<ClientRecord>): Promise<void> {
    for (;;) {
      const next = await reader.next(this.#lingerLeftMs(), this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      if (next.kind === 'item') await this.#take(next.item);
      else await this.#sendAll(this.#chunker.takeAll());
      if (next.kind === 'end' || this.#stop.signal.aborted) return;
    }
  }

  async #take(record: ClientRecord): Promise<void> {
    const position = this.#recordCount;
    const shardCount = shardCountOf(this.#puts.topology);
    const encoded = encodeRecord(record, `records[${position}]`, this.#settings.limits, shardCount);
    if (this.#chunker.empty) this.#openSinceMs = this.#settings.clock.monotonicMs();
    this.#recordCount += 1;
    const chunk = this.#chunker.add(encoded, position);
    if (chunk !== undefined) await this.#sendAll([chunk]);
  }

  /** What is left of the first open record's linger; `undefined` if nothing is open. */
  #lingerLeftMs(): number | undefined {
    if (this.#chunker.empty) return undefined;
    return Math.max(0, this.#openSinceMs + this.#lingerMs - this.#settings.clock.monotonicMs());
  }

  /** Sends the chunks, each when there is room for it. */
  async #sendAll(chunks: readonly Chunk[]): Promise<void> {
    for (const chunk of chunks) {
      while (this.#inFlight.size >= this.#inFlightMax) await Promise.race(this.#inFlight);
      if (this.#stop.signal.aborted) return;
      const sent: Promise<void> = this.#send(chunk).finally(() => this.#inFlight.delete(sent));
      this.#inFlight.add(sent);
    }
  }

  async #send(chunk: Chunk): Promise<void> {
    const { ifExists, timeoutMs, signal, onStored } = this.#options;
    this.#jobCount += 1;
    const part = { id: randomUUID(), shard: chunk.shard, records: chunk.records };
    try {
      if (ifExists !== undefined) await this.#puts.checkHomes(part.records, this.#options);
      const receipts = await this.#puts.send(part, { ifExists, timeoutMs, signal });
      for (const { outcome } of receipts) this.#outcomes[outcome] += 1;
      onStored?.(receipts.map((receipt, index) => ({ ...receipt, position: chunk.positions[index] ?? 0 })));
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The first failure wins. */
  #fail(error: unknown): void {
    if (this.#stop.signal.aborted) return;
    this.#failure = error;
    this.#stop.abort();
  }
}
