/**
 * Keeps the archive's topology: what Redis says of it, and a copy beside the shards on disk.
 *
 * Without its topology an archive looks as if it had one shard, and what lies on the others would be `missing`. Redis may
 * lose it; the volumes must not. So every worker has a copy: a Redis that knows less is told again, a copy that knows
 * less is replaced.
 *
 * States: new → `start` → watching (read again at an interval and when Redis comes back) → stopped.
 *
 * Invariants: neither side ever loses a generation here; what one has and the other has not is added to it. Several
 * workers may do so at once: each puts its topology in the place of the one that it has read, or reads again.
 *
 * Crash behaviour: the copy is replaced as a whole; an older one only means that less is known until Redis is read.
 */
import { join } from 'node:path';
import type { Clock, Timer } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { NodeDisk } from '../disk/node-disk.ts';
import { type ArchiveName, topologyKey } from '../protocol/names.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import { continues, homesOf, joined, knownShardCountOf, oneShard, type Topology } from '../protocol/topology.ts';
import type { ThrottledLog } from '../queue/throttled-log.ts';
import { readTopology, replaceTopology } from '../queue/topology-store.ts';
import type { RedisLink } from './redis-link.ts';
import { ServiceError } from './service-error.ts';
import { readTopologyFile, topologyFile, unfinishedTopologyFile, writeTopologyFile } from './topology-file.ts';

export interface TopologyKeeperSettings {
  readonly archive: ArchiveName;
  /** The directory that holds those of the shards; it must exist at `start`. */
  readonly dataDir: string;
}

export interface TopologyKeeperDeps {
  readonly link: Pick<RedisLink, 'connection'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly log: ThrottledLog;
}

const intervalMs = 5000;
const attemptCount = 10;

export class TopologyKeeper {
  readonly #settings: TopologyKeeperSettings;
  readonly #deps: TopologyKeeperDeps;
  readonly #disk: NodeDisk;
  /** The directory may be that of other workers, too, each with shards of its own. */
  readonly #unfinished = unfinishedTopologyFile();
  #known: Topology | undefined;
  #copied: Topology | undefined;
  #timer: Timer | undefined;
  #looking: Promise<void> | undefined;
  #stopped = false;

  constructor(settings: TopologyKeeperSettings, deps: TopologyKeeperDeps) {
    this.#settings = settings;
    this.#deps = deps;
    this.#disk = new NodeDisk(settings.dataDir);
  }

  /** The newest that is known. */
  get topology(): Topology {
    return this.#known ?? oneShard;
  }

  /** Whether records of this shard are looked for at all. If not, the topology was lost, or not written before them. */
  asks(shard: number): boolean {
    return shard < knownShardCountOf(this.topology);
  }

  /** Whether a record with this key may be on more than one shard. */
  hasSeveralHomes(storedKey: Uint8Array): boolean {
    return this.topology.generations.length > 1 && homesOf(this.topology, storedKey).length > 1;
  }

  /** Resolves when copy and Redis agree. Errors: ServiceError `topology-unreadable` for one of the two, DiskError. */
  async start(): Promise<void> {
    const { archive, dataDir } = this.#settings;
    try {
      this.#copied = await readTopologyFile(this.#disk);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      throw unreadable(join(dataDir, topologyFile), 'remove it if `permafrost topology show` tells all shards', error);
    }
    this.#known = this.#copied;
    try {
      await this.#agree();
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      throw unreadable(topologyKey(archive), 'remove that key from Redis if this worker has a copy of it', error);
    }
    this.#schedule();
  }

  /** Looks whether Redis still knows it, or knows more. */
  look(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    this.#looking ??= this.#agree()
      .catch((error: unknown) => this.#deps.log.warn({ error }, 'topology-not-read'))
      .finally(() => {
        this.#looking = undefined;
      });
    return this.#looking;
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async #agree(): Promise<void> {
    for (let attempt = 0; attempt < attemptCount; attempt += 1) {
      const { connection } = this.#deps.link;
      const seen = await readTopology(connection, this.#settings.archive);
      const all = either(this.#known, seen?.topology);
      if (all === undefined) return;
      this.#known = all;
      await this.#copy(all);
      if (seen !== undefined && continues(seen.topology, all)) return;
      if (!(await replaceTopology(connection, this.#settings.archive, seen, all))) continue;
      this.#deps.logger.warn({ shards: shardsOf(all), found: shardsOf(seen?.topology) }, 'topology-restored');
      return;
    }
  }

  async #copy(topology: Topology): Promise<void> {
    if (this.#copied !== undefined && continues(this.#copied, topology)) return;
    await writeTopologyFile(this.#disk, topology, this.#unfinished);
    this.#copied = topology;
    this.#deps.logger.info({ shards: shardsOf(topology) }, 'topology');
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#timer = this.#deps.clock.after(intervalMs, () => {
      void this.look();
      this.#schedule();
    });
  }
}

function unreadable(where: string, remedy: string, cause: unknown): ServiceError {
  return new ServiceError('topology-unreadable', `${where} is no topology: ${messageOf(cause)}; ${remedy}`, { cause });
}

function either(known: Topology | undefined, seen: Topology | undefined): Topology | undefined {
  return known === undefined || seen === undefined ? (known ?? seen) : joined(known, seen);
}

function shardsOf(topology: Topology | undefined): readonly number[] {
  return topology?.generations.map(({ shards }) => shards) ?? [];
}
