import { setMaxListeners } from 'node:events';
import type { Client } from '../../src/client/client.ts';
import { ClientError } from '../../src/client/client-error.ts';
import type { PutReceipt } from '../../src/client/puts.ts';
import type { Random } from '../../test/simulation/random.ts';
import { Violation } from '../experiment.ts';
import { limited, passed } from './limit.ts';
import type { ReceiptJournal } from './receipt-journal.ts';
import { textOf, textSizeMin } from './record-text.ts';

export interface LoadSettings {
  readonly laneCount: number;
  /** The longest that a lane rests between a receipt and its next put. */
  readonly restMsMax: number;
  readonly recordCountMax: number;
  readonly valueBytesMax: number;
  /** After so long without a receipt a put is sent again, as the contract says: same id, same records, `repeat`. */
  readonly putTimeoutMs: number;
}

export const usualLoad: LoadSettings = {
  laneCount: 64,
  restMsMax: 150,
  recordCountMax: 3,
  valueBytesMax: 1500,
  putTimeoutMs: 30_000,
};

interface Drawn {
  readonly key: string;
  readonly version: number;
  readonly size: number;
}

/**
 * Producers that put without end, each in a lane of its own: it sends its next put when the last one was acknowledged.
 *
 * Most records have keys of their own. Each lane also has a key that it writes again and again: since a version is
 * sent after the receipt of the one before, the newest one that was acknowledged is the least that a lookup may find.
 */
export class Load {
  readonly #client: Pick<Client, 'put'>;
  readonly #journal: ReceiptJournal;
  readonly #random: Random;
  readonly #settings: LoadSettings;
  readonly #failed = new AbortController();
  readonly #watchers = new Set<() => void>();
  #stopping = false;
  #lanes: Promise<void>[] = [];
  #putCount = 0;
  #recordCount = 0;
  #resentCount = 0;

  constructor(client: Pick<Client, 'put'>, journal: ReceiptJournal, random: Random, settings: LoadSettings) {
    this.#client = client;
    this.#journal = journal;
    this.#random = random;
    this.#settings = settings;
    setMaxListeners(0, this.#failed.signal);
  }

  /** Records that were sent, with and without a receipt. */
  get recordCount(): number {
    return this.#recordCount;
  }

  /** Times that a put was sent again. */
  get resentCount(): number {
    return this.#resentCount;
  }

  start(): void {
    this.#stopping = false;
    this.#lanes = Array.from({ length: this.#settings.laneCount }, (_, lane) =>
      this.#run(lane, this.#random.fork()).catch((error: unknown) => this.fail(error)),
    );
  }

  /** Resolves when so many records more than now are acknowledged. */
  async acknowledged(signal: AbortSignal, count: number): Promise<void> {
    const wanted = this.#journal.records.length + count;
    const enough = new Promise<void>((resolve, reject) => {
      const look = (): void => {
        if (this.#journal.records.length < wanted && !this.#failed.signal.aborted) return;
        this.#watchers.delete(look);
        if (this.#failed.signal.aborted) reject(this.#failed.signal.reason);
        else resolve();
      };
      this.#watchers.add(look);
      look();
    });
    await limited(signal, `${count} more receipts`, enough);
  }

  /** Sends no new puts; resolves when all that were sent are acknowledged. */
  async stop(signal: AbortSignal): Promise<void> {
    this.#stopping = true;
    await limited(signal, 'the receipts of all puts', Promise.all(this.#lanes));
    this.#failed.signal.throwIfAborted();
  }

  async #run(lane: number, random: Random): Promise<void> {
    for (let version = 1; !this.#stopping && !this.#failed.signal.aborted; ) {
      const drawn = this.#draw(lane, random, version);
      await this.#put(drawn);
      if (drawn.some(({ key }) => key === laneKey(lane))) version += 1;
      await passed(this.#failed.signal, random.between(0, this.#settings.restMsMax));
    }
  }

  #draw(lane: number, random: Random, laneVersion: number): readonly Drawn[] {
    const { recordCountMax, valueBytesMax } = this.#settings;
    const count = random.between(1, recordCountMax);
    const rewritten = random.chance(0.2) ? 0 : count;
    return Array.from({ length: count }, (_, index) => {
      const size = random.between(textSizeMin, valueBytesMax);
      if (index === rewritten) return { key: laneKey(lane), version: laneVersion, size };
      return { key: `record ${this.#recordCount + index}`, version: 1, size };
    });
  }

  async #put(drawn: readonly Drawn[]): Promise<void> {
    this.#recordCount += drawn.length;
    const id = `put-${this.#putCount++}`;
    const receipt = await this.#send(id, drawn);
    const records = drawn.map((record, index) => {
      const { cursor, outcome } = receipt.records[index] ?? {};
      if (cursor === undefined || outcome === 'kept') throw new Violation(`${id}: a receipt without a place`);
      return { ...record, cursor };
    });
    await this.#journal.add(records);
    for (const look of [...this.#watchers]) look();
  }

  async #send(id: string, drawn: readonly Drawn[]): Promise<PutReceipt> {
    const records = drawn.map(({ key, version, size }) => ({ key, value: textOf(key, version, size) }));
    for (let repeat = false; ; repeat = true) {
      try {
        return await this.#client.put(records, { id, repeat, timeoutMs: this.#settings.putTimeoutMs });
      } catch (error) {
        if (!(error instanceof ClientError) || !mayBeSentAgain(error)) throw error;
        if (this.#failed.signal.aborted) throw this.#failed.signal.reason;
        this.#resentCount += 1;
      }
    }
  }

  /** There is no point in going on: whoever waits for receipts is told why. */
  fail(error: unknown): void {
    this.#failed.abort(error);
    for (const look of [...this.#watchers]) look();
  }

  /** Gives up what is in flight. */
  abandon(): void {
    this.#stopping = true;
    this.fail(new Error('the load was given up'));
  }
}

function laneKey(lane: number): string {
  return `lane ${lane}`;
}

/** The put may be stored or not, and no more will be heard of it. */
function mayBeSentAgain({ code, retriable }: ClientError): boolean {
  return code === 'deadline' || code === 'connection' || code === 'backlog-full' || (code === 'redis' && retriable);
}
