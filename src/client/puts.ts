import { randomUUID } from 'node:crypto';
import { checkLimit } from '../protocol/limits.ts';
import type { ClientId } from '../protocol/names.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import { encodePutJob, type IfExists, type RecordWire } from '../protocol/put-job.ts';
import type { PutOutcome, Stored } from '../protocol/receipts.ts';
import { checkId } from '../protocol/reply-address.ts';
import { Call, type WaitOptions } from './call.ts';
import type { JobSender } from './job-sender.ts';
import { type ClientRecord, type EncodedRecord, encodeRecord } from './record.ts';
import type { ReplyRouter } from './reply-router.ts';
import type { ClientSettings } from './settings.ts';

export interface PutOptions extends WaitOptions {
  /** What to do with a key that is in the archive already. Default: `append` a new version. */
  readonly ifExists?: IfExists | undefined;
  /** Name of this put, unique in the archive. Default: a random one. */
  readonly id?: string | undefined;
  /** The put may have been sent before, under the same id and with the same records: none is stored twice. */
  readonly repeat?: boolean | undefined;
}

/** Where a record is on disk. */
export interface RecordReceipt {
  readonly key: string;
  /** For `lookup({ cursor })`: reads the record without the index. */
  readonly cursor: string;
  readonly outcome: PutOutcome;
}

/** Proof that records are on disk. */
export interface PutReceipt {
  readonly id: string;
  /** In the order of the put. */
  readonly records: readonly RecordReceipt[];
}

/** Records of one shard, and how they are to be put. */
export interface PutPart {
  readonly id: string;
  readonly shard: number;
  readonly records: readonly RecordWire[];
}

/** JSON bytes of a job beside its records. */
export const jobFrameBytes = 512;

/** Sends puts and waits for their receipts. */
export class Puts {
  readonly #settings: ClientSettings;
  readonly #client: ClientId;
  readonly #sender: JobSender;
  readonly #router: ReplyRouter;

  constructor(settings: ClientSettings, client: ClientId, sender: JobSender, router: ReplyRouter) {
    this.#settings = settings;
    this.#client = client;
    this.#sender = sender;
    this.#router = router;
  }

  /** Puts the records in one job a shard. */
  async put(records: readonly ClientRecord[], options: PutOptions): Promise<PutReceipt> {
    const { limits, shardCount } = this.#settings;
    checkLimit(limits, 'recordCountMax', records.length, 'records');
    const id = options.id ?? randomUUID();
    checkId(id, limits);
    const encoded = records.map((record, index) => encodeRecord(record, `records[${index}]`, limits, shardCount));
    const receipts = new Array<RecordReceipt>(records.length);
    const parts = [...Map.groupBy(encoded.keys(), (index) => encoded[index]?.shard ?? 0)];
    await Promise.all(
      parts.map(async ([shard, positions]) => {
        const part = positions.flatMap((position) => encoded[position] ?? []);
        checkJobSize(part, this.#settings);
        const stored = await this.send({ id, shard, records: part.map(({ wire }) => wire) }, options);
        for (const [index, receipt] of stored.entries()) receipts[positions[index] ?? 0] = receipt;
      }),
    );
    return { id, records: receipts };
  }

  /** Puts one job and waits for its receipt; gives it record by record. */
  async send(part: PutPart, options: PutOptions): Promise<readonly RecordReceipt[]> {
    const { clock, putTimeoutMs } = this.#settings;
    const call = new Call<Stored>(clock, options.timeoutMs ?? putTimeoutMs, options.signal);
    if (this.#router.expectReceipt(part.id, part.shard, call)) {
      const { ifExists, repeat } = options;
      const replyTo = { kind: 'client', client: this.#client } as const;
      const job = encodePutJob({ id: part.id, records: part.records, ifExists, repeat, replyTo });
      // Not awaited: during an outage it takes longer than the call, which it rejects if it fails.
      void this.#sender.sendPut(part.shard, job, call);
    }
    return match(part, await call.promise);
  }
}

function match(part: PutPart, stored: Stored): readonly RecordReceipt[] {
  if (stored.records.length !== part.records.length) {
    const message = `a receipt for ${stored.records.length} records, ${part.records.length} were put`;
    throw new ProtocolError('invalid-field', `receipts: ${message}`, { details: { field: 'receipts' } });
  }
  return stored.records.map((record, index) => ({ key: part.records[index]?.key ?? '', ...record }));
}

function checkJobSize(records: readonly EncodedRecord[], settings: ClientSettings): void {
  const size = records.reduce((sum, record) => sum + record.jsonBytes, jobFrameBytes);
  checkLimit(settings.limits, 'jobBytesMax', size, 'records');
}
