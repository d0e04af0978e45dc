import { randomUUID } from 'node:crypto';
import { checkLimit } from '../protocol/limits.ts';
import type { ClientId } from '../protocol/names.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import { encodePutJob, type IfExists } from '../protocol/put-job.ts';
import type { Stored } from '../protocol/receipts.ts';
import { storedKeyOf } from '../protocol/record-key.ts';
import { checkId } from '../protocol/reply-address.ts';
import { homesOf, shardCountOf, type Topology } from '../protocol/topology.ts';
import { awaited, Call, type WaitOptions } from './call.ts';
import { ClientError } from './client-error.ts';
import { receiptsAtEarlierHomes } from './earlier-homes.ts';
import type { JobSender } from './job-sender.ts';
import type { PutPart, RecordReceipt } from './put-part.ts';
import { type ClientRecord, type EncodedRecord, encodeRecord } from './record.ts';
import type { ReplyRouter } from './reply-router.ts';
import type { ClientSettings } from './settings.ts';
import type { ShardLookups } from './shard-lookups.ts';
import type { TopologyView } from './topology-view.ts';

export type { PutPart, RecordReceipt } from './put-part.ts';

export interface PutOptions extends WaitOptions {
  /** What to do with a key that is in the archive already. Default: `append` a new version. */
  readonly ifExists?: IfExists | undefined;
  /** Name of this put, unique in the archive. Default: a random one. */
  readonly id?: string | undefined;
  /** The put may have been sent before, under the same id and with the same records: none is stored twice. */
  readonly repeat?: boolean | undefined;
}

/** Proof that records are on disk. */
export interface PutReceipt {
  readonly id: string;
  /** In the order of the put. */
  readonly records: readonly RecordReceipt[];
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
  readonly #shards: ShardLookups;
  /** Puts that wait for the topology. */
  #checkingCount = 0;

  constructor(
    settings: ClientSettings,
    client: ClientId,
    sender: JobSender,
    router: ReplyRouter,
    topology: TopologyView,
    shards: ShardLookups,
  ) {
    this.#settings = settings;
    this.#client = client;
    this.#sender = sender;
    this.#router = router;
    this.#topology = topology;
    this.#shards = shards;
  }

  /** Puts the records in one job a shard. */
  async put(records: readonly ClientRecord[], options: PutOptions): Promise<PutReceipt> {
    const { limits } = this.#settings;
    checkLimit(limits, 'recordCountMax', records.length, 'records');
    const id = options.id ?? randomUUID();
    checkId(id, limits);
    const endMs = this.#settings.clock.monotonicMs() + (options.timeoutMs ?? this.#settings.putTimeoutMs);
    if (options.repeat === true) await this.#freshTopology(this.#leftMs(endMs), options.signal);
    const shardCount = shardCountOf(this.topology);
    const encoded = records.map((record, index) => encodeRecord(record, `records[${index}]`, limits, shardCount));
    if (options.ifExists !== undefined) await this.checkHomes(records, options);
    const isAppended = options.ifExists === undefined || options.ifExists === 'append';
    const receipts: (RecordReceipt | undefined)[] =
      options.repeat === true && isAppended
        ? [...(await this.#earlier(id, encoded, endMs, options))]
        : new Array(records.length);
    const left = [...encoded.keys()].filter((index) => receipts[index] === undefined);
    const parts = [...Map.groupBy(left, (index) => encoded[index]?.shard ?? 0)];
    if (options.ifExists === 'reject' && parts.length > 1) throw severalShards(parts.length);
    await Promise.all(
      parts.map(async ([shard, positions]) => {
        const part = positions.flatMap((position) => encoded[position] ?? []);
        checkJobSize(part, positions, this.#settings);
        // The place in the put, not in the job: sent again when the archive has grown, the put is split otherwise.
        const job = { id, shard, records: part.map(({ wire }) => wire), places: positions };
        const stored = await this.send(job, { ...options, timeoutMs: this.#leftMs(endMs) });
        for (const [index, receipt] of stored.entries()) receipts[positions[index] ?? 0] = receipt;
      }),
    );
    return { id, records: receipts.flatMap((receipt) => receipt ?? []) };
  }

  /** What a put that is repeated has stored at homes that its keys had before. */
  async #earlier(
    id: string,
    records: readonly EncodedRecord[],
    endMs: number,
    options: PutOptions,
  ): Promise<readonly (RecordReceipt | undefined)[]> {
    const { topology } = this;
    if (topology.generations.length === 1) return new Array(records.length);
    const wait = (): WaitOptions => ({ timeoutMs: this.#leftMs(endMs), signal: options.signal });
    const keep = (part: PutPart): Promise<readonly RecordReceipt[]> =>
      this.send(part, { ...wait(), ifExists: 'keep', repeat: true });
    return receiptsAtEarlierHomes({ id, records }, topology, { shards: this.#shards, keep }, wait());
  }

  #leftMs(endMs: number): number {
    return Math.max(0, Math.ceil(endMs - this.#settings.clock.monotonicMs()));
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
