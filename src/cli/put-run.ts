/**
 * Puts a stream of records in jobs of a good size, many in flight at once, and counts what became of each.
 *
 * Records of one key stay in the order of the source: a batch waits while another one with a key of its own is in flight.
 * Without a linger the batches follow from the source and the settings alone: the same source makes the same batches.
 *
 * States: reading → draining (the source ended, an interruption, or a failure that is not one record's) → done.
 * Memory is bounded by `bytesInFlightMax`, whatever the number of records: values are read when their batch has room, and
 * the source is asked for more only then. Nothing is counted as stored before its receipt. A record that is refused does
 * not stop the others: a batch that is refused is put again record by record. Anything else that fails (no Redis, a
 * deadline, a damaged source) stops the run; what was acknowledged is stored, and running again goes on from there.
 */
import type { Clock } from '../base/clock.ts';
import { codeOf, messageOf, PermafrostError } from '../base/errors.ts';
import type { RecordReceipt } from '../client/puts.ts';
import type { ClientRecord } from '../client/record.ts';
import { type Next, SourceReader } from '../client/record-source.ts';
import type { ImportItem, ImportRecord } from './import-item.ts';
import { Latencies } from './latencies.ts';
import { isRefusal } from './refusal.ts';

export interface PutRunSettings {
  /** Bytes of values that are read or on their way at once. */
  readonly bytesInFlightMax: number;
  readonly batchesInFlightMax: number;
  /** A batch takes no further record that would bring it above so many bytes of values; a larger record goes alone. */
  readonly batchBytesMax: number;
  readonly batchRecordsMax: number;
  /** How long a record of a slow source waits for others; undefined: until its batch is full, or the source ends. */
  readonly lingerMs: number | undefined;
  /** Bytes above which a value is not even read: it would be refused. */
  readonly valueBytesMax: number;
}

export interface PutRunPorts {
  /**
   * Resolves with a receipt for each record, in their order, when all are on disk. `batch` names the batch in this run:
   * its number, or that and the place in it of a record that goes alone because its batch was refused.
   */
  put(records: readonly ClientRecord[], batch: string): Promise<readonly RecordReceipt[]>;
  /** Told of each record that was not stored, and of each entry that is no record. */
  problem(kind: 'failed' | 'skipped', where: string, reason: string): void;
  /** Told of each record that is on disk. */
  archived?(record: ImportRecord, receipt: RecordReceipt): void;
  /** Told after each batch. */
  step(tally: PutTally): void;
  readonly clock: Clock;
  readonly interrupted: AbortSignal;
}

export interface PutTally {
  readonly stored: number;
  readonly unchanged: number;
  readonly kept: number;
  readonly failed: number;
  readonly skipped: number;
  /** Bytes of the values that have a receipt. */
  readonly bytes: number;
  readonly receiptLatencies: Latencies;
  /** What stopped the run before its end. */
  readonly stopped: unknown;
}

/** Sizes that suit the queue: above 192 KiB of JSON a job gains nothing. */
export const putRunDefaults = {
  bytesInFlightMax: 16 * 1024 * 1024,
  batchesInFlightMax: 32,
  batchBytesMax: 128 * 1024,
  batchRecordsMax: 500,
  lingerMs: 20,
};

/** Bytes that a record takes in a batch beside key and value. */
const recordOverheadBytes = 256;

export async function runPuts(
  items: AsyncIterable<ImportItem>,
  settings: PutRunSettings,
  ports: PutRunPorts,
): Promise<PutTally> {
  return new PutRun(settings, ports).run(new SourceReader(items, ports.clock));
}

interface Batch {
  readonly records: ImportRecord[];
  bytes: number;
}

interface Loaded {
  readonly record: ImportRecord;
  /** Its place in the batch. */
  readonly index: number;
  readonly value: Uint8Array;
}

class PutRun {
  readonly #settings: PutRunSettings;
  readonly #ports: PutRunPorts;
  readonly #stop = new AbortController();
  readonly #inFlight = new Set<Promise<void>>();
  readonly #tally = { stored: 0, unchanged: 0, kept: 0, failed: 0, skipped: 0, bytes: 0 };
  readonly #receiptLatencies = new Latencies();
  /** Keys of the batches in flight, with the number of their records. */
  readonly #keysInFlight = new Map<string, number>();
  #batchCount = 0;
  #bytesInFlight = 0;
  #open: Batch = { records: [], bytes: 0 };
  #stopped: unknown;

  constructor(settings: PutRunSettings, ports: PutRunPorts) {
    this.#settings = settings;
    this.#ports = ports;
  }

  async run(source: SourceReader<ImportItem>): Promise<PutTally> {
    const interrupt = (): void => this.#stop.abort();
    if (this.#ports.interrupted.aborted) interrupt();
    this.#ports.interrupted.addEventListener('abort', interrupt, { once: true });
    try {
      await this.#read(source);
    } finally {
      this.#ports.interrupted.removeEventListener('abort', interrupt);
      await source.close();
      await Promise.all(this.#inFlight);
    }
    return this.#result();
  }

  async #read(source: SourceReader<ImportItem>): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const next = await this.#next(source);
      if (next.kind === 'item') await this.#take(next.item);
      else if (!this.#stop.signal.aborted) await this.#send();
      if (next.kind === 'end') return;
    }
  }

  /** A source that cannot be read on is at its end, and that is why the run stopped. */
  async #next(source: SourceReader<ImportItem>): Promise<Next<ImportItem>> {
    const { lingerMs } = this.#settings;
    try {
      return await source.next(this.#open.records.length > 0 ? lingerMs : undefined, this.#stop.signal);
    } catch (error) {
      // Anything else is a mistake of the program.
      if (!(error instanceof PermafrostError)) throw error;
      this.#stopped ??= error;
      // A batch that is not whole would have another name than the whole one later, and its records be put twice.
      if (lingerMs === undefined) this.#stop.abort();
      return { kind: 'end' };
    }
  }

  async #take(item: ImportItem): Promise<void> {
    if (item.kind !== 'record') return this.#problem(item.kind, item.where, item.reason);
    const { valueBytesMax, batchBytesMax, batchRecordsMax } = this.#settings;
    if (item.size > valueBytesMax) {
      const reason = `${item.size} bytes, a value has at most ${valueBytesMax} (limits.valueBytesMax)`;
      return this.#problem('failed', item.where, reason);
    }
    const cost = item.size + item.key.length + recordOverheadBytes;
    if (this.#open.bytes + cost > batchBytesMax) await this.#send();
    this.#open.records.push(item);
    this.#open.bytes += cost;
    if (this.#open.records.length >= batchRecordsMax) await this.#send();
  }

  /** Sends what is open, as soon as there is room for it. */
  async #send(): Promise<void> {
    const batch = this.#open;
    this.#open = { records: [], bytes: 0 };
    if (batch.records.length === 0) return;
    while (!this.#fits(batch)) await Promise.race(this.#inFlight);
    if (this.#stop.signal.aborted) return;
    this.#bytesInFlight += batch.bytes;
    this.#countKeys(batch, 1);
    const sent: Promise<void> = this.#put(batch.records, `${this.#batchCount++}`).finally(() => {
      this.#bytesInFlight -= batch.bytes;
      this.#countKeys(batch, -1);
      this.#inFlight.delete(sent);
    });
    this.#inFlight.add(sent);
  }

  #fits(batch: Batch): boolean {
    if (this.#inFlight.size === 0) return true;
    const { batchesInFlightMax, bytesInFlightMax } = this.#settings;
    if (batch.records.some(({ key }) => this.#keysInFlight.has(key))) return false;
    return this.#inFlight.size < batchesInFlightMax && this.#bytesInFlight + batch.bytes <= bytesInFlightMax;
  }

  #countKeys({ records }: Batch, change: number): void {
    for (const { key } of records) {
      const count = (this.#keysInFlight.get(key) ?? 0) + change;
      if (count === 0) this.#keysInFlight.delete(key);
      else this.#keysInFlight.set(key, count);
    }
  }

  /** Never rejects. */
  async #put(records: readonly ImportRecord[], batch: string): Promise<void> {
    const loading = records.map((record, index) => this.#load(record, index));
    const loaded = (await Promise.all(loading)).flatMap((each) => each ?? []);
    if (loaded.length > 0) await this.#putLoaded(loaded, batch);
    this.#ports.step(this.#result());
  }

  async #load(record: ImportRecord, index: number): Promise<Loaded | undefined> {
    try {
      return { record, index, value: await record.load() };
    } catch (error) {
      this.#problem('failed', record.where, messageOf(error));
      return undefined;
    }
  }

  async #putLoaded(loaded: readonly Loaded[], batch: string): Promise<void> {
    const startMs = this.#ports.clock.monotonicMs();
    try {
      const receipts = await this.#ports.put(
        loaded.map(({ record, value }) => ({ key: record.key, value })),
        batch,
      );
      const tookMs = this.#ports.clock.monotonicMs() - startMs;
      for (const [index, each] of loaded.entries()) this.#count(each, receipts[index], tookMs);
    } catch (error) {
      await this.#refusedOrStopped(loaded, batch, error);
    }
  }

  async #refusedOrStopped(loaded: readonly Loaded[], batch: string, error: unknown): Promise<void> {
    const [first, ...others] = loaded;
    if (!isRefusal(error)) {
      this.#stopped ??= error;
      this.#stop.abort();
    } else if (others.length > 0) {
      for (const each of loaded)
        if (!this.#stop.signal.aborted) await this.#putLoaded([each], `${batch}.${each.index}`);
    } else if (first !== undefined) {
      this.#problem('failed', first.record.where, `${messageOf(error)} (${codeOf(error)})`);
    }
  }

  #count(loaded: Loaded, receipt: RecordReceipt | undefined, tookMs: number): void {
    if (receipt === undefined) return;
    this.#tally[receipt.outcome]++;
    this.#tally.bytes += loaded.value.length;
    this.#receiptLatencies.add(tookMs);
    this.#ports.archived?.(loaded.record, receipt);
  }

  #problem(kind: 'failed' | 'skipped', where: string, reason: string): void {
    this.#tally[kind]++;
    this.#ports.problem(kind, where, reason);
  }

  #result(): PutTally {
    return { ...this.#tally, receiptLatencies: this.#receiptLatencies, stopped: this.#stopped };
  }
}
