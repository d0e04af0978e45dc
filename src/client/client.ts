import { randomBytes } from 'node:crypto';
import { messageOf } from '../base/errors.ts';
import { type ClientId, parseClientId } from '../protocol/names.ts';
import type { Topology } from '../protocol/topology.ts';
import { ClientError } from './client-error.ts';
import { openRedis, type RedisConnection } from './connection.ts';
import { Heartbeat } from './heartbeat.ts';
import { JobSender } from './job-sender.ts';
import { type FoundRecord, type LookupAnswer, type LookupOptions, Lookups, type LookupTarget } from './lookups.ts';
import { PutMany, type PutManyOptions, type PutManySummary } from './put-many.ts';
import { type PutOptions, type PutReceipt, Puts } from './puts.ts';
import type { ClientRecord } from './record.ts';
import type { Source } from './record-source.ts';
import { ReplyRouter } from './reply-router.ts';
import { ReplyWorker } from './reply-worker.ts';
import { type ClientDependencies, type ClientOptions, type ClientSettings, settle } from './settings.ts';
import { ShardLookups } from './shard-lookups.ts';
import { TopologyView } from './topology-view.ts';

/**
 * What producers and readers use: one a process is enough, for any number of calls at once.
 *
 * States: connected → closing → closed. An outage of Redis changes no state: calls wait for its end until their
 * deadlines. A `put` that resolves is on disk; one that rejects may be on disk all the same, except where its error's code
 * says that nothing was sent. Three connections to Redis, one queue for replies, one heartbeat key; `close` removes the
 * last two. What a killed client leaves is removed by the workers' janitor.
 */
export class Client {
  /** Name of this client in Redis: where replies go. */
  readonly id: ClientId;
  readonly #redis: RedisConnection;
  readonly #sending: RedisConnection;
  readonly #settings: ClientSettings;
  readonly #sender: JobSender;
  readonly #router: ReplyRouter;
  readonly #replies: ReplyWorker;
  readonly #heartbeat: Heartbeat;
  readonly #topology: TopologyView;
  readonly #puts: Puts;
  readonly #lookups: Lookups;
  #closing: Promise<void> | undefined;

  private constructor(redis: RedisConnection, sending: RedisConnection, id: ClientId, settings: ClientSettings) {
    this.id = id;
    this.#redis = redis;
    this.#sending = sending;
    this.#settings = settings;
    this.#router = new ReplyRouter(settings.callCountMax);
    this.#sender = new JobSender(redis, sending, settings);
    this.#heartbeat = new Heartbeat(redis, id, settings);
    this.#replies = new ReplyWorker(redis, id, settings, (message) => this.#router.deliver(message));
    this.#topology = new TopologyView(redis, settings);
    const shards = new ShardLookups(settings, id, this.#sender, this.#router);
    this.#puts = new Puts(settings, id, this.#sender, this.#router, this.#topology, shards);
    this.#lookups = new Lookups(settings, shards, this.#topology);
  }

  /**
   * A client that can send and be answered. Errors: ClientError `invalid-options` or `connection`, ProtocolError
   * `invalid-name`.
   */
  static async connect(options: ClientOptions, dependencies: ClientDependencies = {}): Promise<Client> {
    const settings = settle(options, dependencies);
    const id = parseClientId(`${settings.name}-${randomBytes(6).toString('hex')}`);
    const redis = await openRedis(settings, 'resend');
    const sending = await openOther(redis, settings);
    const client = new Client(redis, sending, id, settings);
    try {
      await client.#start();
      return client;
    } catch (error) {
      await client.close();
      throw new ClientError('connection', `the client cannot start: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Calls that wait for their answer. */
  get pendingCount(): number {
    return this.#router.pendingCount;
  }

  /** Answers that no call waited for, and messages that were not what the contract says. */
  get droppedCount(): number {
    return this.#router.dropped.value + this.#replies.malformed.value;
  }

  /**
   * Archives one record or several, and resolves when all are on disk. Those of one shard are decided, and stored or
   * refused, as a whole; of several shards each decides for its own, and a put that rejects may be stored on others. What
   * `reject` decides must be of one shard (`several-shards`). Errors: ProtocolError (a record breaks a limit; nothing was
   * sent), ClientError.
   */
  async put(records: ClientRecord | readonly ClientRecord[], options: PutOptions = {}): Promise<PutReceipt> {
    this.#checkOpen();
    return this.#puts.put(isList(records) ? records : [records], options);
  }

  /**
   * Archives a stream of records in jobs of a good size, a bounded number at a time, and resolves when all are on disk.
   * The deadline is each job's. At the first failure it stops and throws: ProtocolError, ClientError, or what the source
   * threw. What was answered until then is on disk.
   */
  async putMany(source: Source<ClientRecord>, options: PutManyOptions = {}): Promise<PutManySummary> {
    this.#checkOpen();
    return new PutMany(this.#puts, this.#settings, options).run(source);
  }

  /**
   * The newest version of a key, or the record at a cursor; `undefined` if there is none. Errors: ProtocolError,
   * ClientError; `lookup-failed` if the record could not be read.
   */
  async lookup(target: LookupTarget, options: LookupOptions = {}): Promise<FoundRecord | undefined> {
    const [answer] = await this.lookupMany([target], options);
    if (answer === undefined || answer.outcome === 'missing') return undefined;
    if (answer.outcome === 'found') return answer;
    throw answer.error;
  }

  /** One answer a target, in their order. Throws only if the call as a whole failed: ProtocolError, ClientError. */
  async lookupMany(targets: readonly LookupTarget[], options: LookupOptions = {}): Promise<readonly LookupAnswer[]> {
    this.#checkOpen();
    return this.#lookups.lookup(targets, options);
  }

  /**
   * How many shards the archive has and had, read anew: records are put by its last generation. Errors: ClientError
   * `redis`, ProtocolError.
   */
  async topology(): Promise<Topology> {
    this.#checkOpen();
    return this.#topology.fresh();
  }

  /** Put jobs that wait on a shard's queue. */
  async backlogCount(shard = 0): Promise<number> {
    this.#checkOpen();
    return this.#sender.backlogCount(shard);
  }

  /**
   * Rejects what is pending (`closed`), removes what the client has in Redis and gives the connections back. Resolves
   * within `closeTimeoutMs`, Redis there or not; never rejects.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #start(): Promise<void> {
    await Promise.all([this.#heartbeat.start(), this.#topology.start(), this.#replies.ready()]);
    this.#redis.on('ready', () => {
      void this.#heartbeat.beat();
      this.#topology.refresh();
    });
  }

  async #close(): Promise<void> {
    this.#router.rejectAll(new ClientError('closed', 'the client was closed'));
    this.#heartbeat.stop();
    this.#topology.stop();
    const { promise: timeout, resolve } = Promise.withResolvers<void>();
    const timer = this.#settings.clock.after(this.#settings.closeTimeoutMs, resolve);
    await Promise.race([this.#leave(), timeout]);
    timer.cancel();
    this.#redis.disconnect();
    this.#sending.disconnect();
  }

  /** What needs no Redis goes first; the heartbeat goes before the queue, which no worker then makes anew. */
  async #leave(): Promise<void> {
    try {
      await this.#replies.stop();
      await this.#heartbeat.remove();
      await this.#replies.remove();
      await this.#sender.close();
    } catch (error) {
      this.#settings.logger.warn({ error: messageOf(error) }, 'the client left something in redis');
    }
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new ClientError('closed', 'the client is closed');
  }
}

/** The second connection; without it the first is given back, too. */
async function openOther(redis: RedisConnection, settings: ClientSettings): Promise<RedisConnection> {
  try {
    return await openRedis(settings, 'reject');
  } catch (error) {
    redis.disconnect();
    throw error;
  }
}

function isList(records: ClientRecord | readonly ClientRecord[]): records is readonly ClientRecord[] {
  return Array.isArray(records);
}
