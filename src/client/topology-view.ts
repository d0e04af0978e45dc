import type { Timer } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { topologyKey } from '../protocol/names.ts';
import { encodeTopology, joined, oneShard, parseTopology, type Topology } from '../protocol/topology.ts';
import type { RedisConnection } from './connection.ts';
import type { ClientSettings } from './settings.ts';

/** How old the topology may be that a put goes by. An older one costs nothing but the home it adds to a key. */
const refreshIntervalMs = 5000;

/**
 * The archive's topology as this client knows it.
 *
 * States: read once at `start` → read again at an interval, after each reconnect, and for every lookup → stopped. Reading
 * anew never takes a home away: a Redis that has forgotten its topology does not make this client forget it.
 */
export class TopologyView {
  readonly #redis: RedisConnection;
  readonly #settings: ClientSettings;
  #current: Topology | undefined;
  #reading: Promise<Topology> | undefined;
  #next: Promise<Topology> | undefined;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(redis: RedisConnection, settings: ClientSettings) {
    this.#redis = redis;
    this.#settings = settings;
  }

  /** The newest one that is known. */
  get current(): Topology {
    return this.#current ?? oneShard;
  }

  /** Resolves when it was read. Errors: ProtocolError for one that cannot be understood. */
  async start(): Promise<void> {
    await this.#settle();
    this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Reads it; what fails is tried again at the interval. */
  refresh(): void {
    if (this.#stopped) return;
    this.#settle().catch((error: unknown) => {
      this.#settings.logger.warn({ error: messageOf(error) }, 'topology not read');
    });
  }

  /**
   * The topology as it is at this moment or later, and so every home that a record had when this was called. Calls that
   * come while a reading is on its way share the next one. During an outage it waits for Redis.
   */
  fresh(): Promise<Topology> {
    if (this.#reading === undefined) return this.#begin();
    const next = (): Promise<Topology> => this.#reading ?? this.#begin();
    this.#next ??= this.#reading.then(next, next);
    return this.#next;
  }

  /**
   * Reads it, and makes an archive that has none one of one shard, for good. Whoever would begin it with more finds that
   * there is one already: else a record that is put by this client would be looked for elsewhere.
   */
  async #settle(): Promise<void> {
    await this.fresh();
    if (this.#current !== undefined) return;
    const { archive, clock } = this.#settings;
    const first = { generations: [{ shards: 1, time: clock.wallMs() }] };
    await this.#redis.set(topologyKey(archive), JSON.stringify(encodeTopology(first)), 'NX');
    await this.fresh();
  }

  #begin(): Promise<Topology> {
    this.#next = undefined;
    const reading = this.#read().finally(() => {
      this.#reading = undefined;
    });
    this.#reading = reading;
    return reading;
  }

  async #read(): Promise<Topology> {
    const text = await this.#redis.get(topologyKey(this.#settings.archive));
    if (text !== null) this.#adopt(parseTopology(text));
    return this.current;
  }

  #adopt(read: Topology): void {
    const all = this.#current === undefined ? read : joined(this.#current, read);
    if (all.generations.length === this.#current?.generations.length) return;
    this.#current = all;
    this.#settings.logger.info({ shards: all.generations.map(({ shards }) => shards) }, 'topology read');
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#timer = this.#settings.clock.after(refreshIntervalMs, () => {
      this.refresh();
      this.#schedule();
    });
  }
}
