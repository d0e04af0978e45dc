import { randomUUID } from 'node:crypto';
import { checkLimit } from '../protocol/limits.ts';
import type { ClientId } from '../protocol/names.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import { encodePutJob, type IfExists, type RecordWire } from '../protocol/put-job.ts';
import type { PutOutcome, Stored } from '../protocol/receipts.ts';
import { storedKeyOf } from '../protocol/record-key.ts';
import { checkId } from '../protocol/reply-address.ts';
import { homesOf, shardCountOf, type Topology } from '../protocol/topology.ts';
import { awaited, Call, type WaitOptions } from './call.ts';
import { ClientError } from './client-error.ts';
import type { JobSender } from './job-sender.ts';
import { type ClientRecord, type EncodedRecord, encodeRecord } from './record.ts';
import type { ReplyRouter } from './reply-router.ts';
import type { ClientSettings } from './settings.ts';
import type { TopologyView } from './topology-view.ts';

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
  /** Place of each record in the put. Default: these are all of it. */
  readonly places?: readonly number[];
}

/** JSON bytes of a job beside its records. */
export const jobFrameBytes = 512;

/** Sends puts and waits for their receipts. */
export class Puts {
  readonly #settings: ClientSettings;
  readonly #client: ClientId;
  readonly #sender: JobSender;
  readonly #router: ReplyRouter;
  readonly #topology: TopologyView;
  /** Puts that wait for the topology. */
  #checkingCount = 0;

  constructor(
    settings: ClientSettings,
    client: ClientId,
    sender: JobSender,
    router: ReplyRouter,
    topology: TopologyView,
  ) {
    this.#settings = settings;
    this.#client = client;
    this.#sender = sender;
    this.#router = router;
    this.#topology = topology;
  }

  /** Puts the records in one job a shard. */
  async put(records: readonly ClientRecord[], options: PutOptions): Promise<PutReceipt> {
    const { limits } = this.#settings;
    checkLimit(limits, 'recordCountMax', records.length, 'records');
    const id = options.id ?? randomUUID();
    checkId(id, limits);
    const shardCount = shardCountOf(this.topology);
    const encoded = records.map((record, index) => encodeRecord(record, `records[${index}]`, limits, shardCount));
    if (options.ifExists !== undefined) await this.checkHomes(records, options);
    const receipts = new Array<RecordReceipt>(records.length);
    const parts = [...Map.groupBy(encoded.keys(), (index) => encoded[index]?.shard ?? 0)];
    if (options.ifExists === 'reject' && parts.length > 1) throw severalShards(parts.length);
    await Promise.all(
      parts.map(async ([shard, positions]) => {
        const part = positions.flatMap((position) => encoded[position] ?? []);
        checkJobSize(part, positions, this.#settings);
        // The place in the put, not in the job: sent again when the archive has grown, the put is split otherwise.
        const job = { id, shard, records: part.map(({ wire }) => wire), places: positions };
        const stored = await this.send(job, options);
        for (const [index, receipt] of stored.entries()) receipts[positions[index] ?? 0] = receipt;
      }),
    );
    return { id, records: receipts };
  }

  /** The topology that is known: good enough for `append`, which at worst gives the record one home more. */
  get topology(): Topology {
    return this.#topology.current;
  }

  /**
   * Refuses to ask one shard what only several know together: whether a key exists that may be on more than one. The
   * topology is read anew first. Errors: ClientError `refused` for `several-homes`, `too-many-calls`, `deadline`, `aborted`.
   */
  async checkHomes(keys: readonly { readonly key: string }[], options: PutOptions): Promise<void> {
    const { ifExists = 'append', signal } = options;
    if (ifExists === 'append') return;
    const topology = await this.#freshTopology(options.timeoutMs ?? this.#settings.putTimeoutMs, signal);
    if (topology.generations.length === 1) return;
    const index = keys.findIndex(({ key }) => homesOf(topology, storedKeyOf(key)).length > 1);
    if (index >= 0) throw severalHomes(`records[${index}].key`, ifExists);
  }

  async #freshTopology(timeoutMs: number, signal: AbortSignal | undefined): Promise<Topology> {
    const { callCountMax: max, clock } = this.#settings;
    if (this.#checkingCount >= max) throw tooManyCalls(this.#checkingCount, max);
    this.#checkingCount += 1;
    try {
      return await awaited(this.#topology.fresh(), clock, { timeoutMs, signal });
    } finally {
      this.#checkingCount -= 1;
    }
  }

  /** Puts one job and waits for its receipt; gives it record by record. */
  async send(part: PutPart, options: PutOptions): Promise<readonly RecordReceipt[]> {
    const { clock, putTimeoutMs } = this.#settings;
    const call = new Call<Stored>(clock, options.timeoutMs ?? putTimeoutMs, options.signal);
    if (this.#router.expectReceipt(part.id, part.shard, call)) {
      const { ifExists, repeat } = options;
      const replyTo = { kind: 'client', client: this.#client } as const;
      const { id, records, places } = part;
      const job = encodePutJob({ id, records, places, ifExists, repeat, replyTo });
      // Not awaited: during an outage it takes longer than the call, which it rejects if it fails.
      void this.#sender.sendPut(part.shard, job, call);
    }
    return match(part, await call.promise);
  }
}

function severalHomes(field: string, ifExists: string): ClientError {
  const why = `it may be on several shards, of which none can decide "${ifExists}" alone; only "append" is possible`;
  return new ClientError('refused', `refused (several-homes): ${field}: ${why}`, {
    details: { reason: 'several-homes', field },
  });
}

function tooManyCalls(found: number, max: number): ClientError {
  const message = `${found} calls are pending, the limit callCountMax is ${max}`;
  return new ClientError('too-many-calls', message, {
    retriable: true,
    details: { limit: 'callCountMax', max, found },
  });
}

function severalShards(found: number): ClientError {
  const message = `records: they are of ${found} shards, and ifExists "reject" is decided by one shard for all of them; put them one by one`;
  return new ClientError('several-shards', message, { details: { found, max: 1 } });
}

function match(part: PutPart, stored: Stored): readonly RecordReceipt[] {
  if (stored.records.length !== part.records.length) {
    const message = `a receipt for ${stored.records.length} records, ${part.records.length} were put`;
    throw new ProtocolError('invalid-field', `receipts: ${message}`, { details: { field: 'receipts' } });
  }
  return stored.records.map((record, index) => ({ key: part.records[index]?.key ?? '', ...record }));
}

function checkJobSize(records: readonly EncodedRecord[], places: readonly number[], settings: ClientSettings): void {
  const placesBytes = (places.at(-1) ?? 0) < places.length ? 0 : JSON.stringify(places).length;
  const size = records.reduce((sum, record) => sum + record.jsonBytes, jobFrameBytes + placesBytes);
  checkLimit(settings.limits, 'jobBytesMax', size, 'records');
}
