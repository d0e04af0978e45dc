import { silentLogger } from '../../src/base/logger.ts';
import { archiveKey, type EngineSettings } from '../../src/shard/engine-settings.ts';
import type { Answer } from '../../src/shard/lookup.ts';
import type { HeldLock, OwnerLock } from '../../src/shard/owner-lock.ts';
import type { IfExists, PutRequest } from '../../src/shard/put-request.ts';
import { type ShardSettings, shardDefaults } from '../../src/shard/settings.ts';
import { Shard, type ShardDeps } from '../../src/shard/shard.ts';
import { ShardError } from '../../src/shard/shard-error.ts';
import { ManualClock } from '../simulation/manual-clock.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';

/** An engine so small that a few records roll sections over, fill pages and resize the table. */
export const tinyEngine: EngineSettings = {
  pageSize: 160,
  compression: undefined,
  pageCachePages: 4,
  keyWriteBuffer: 320,
  valueWriteBuffer: 512,
  valueTargetSize: 700,
  tableInitialSize: 4,
  tableResizeFrequency: 2,
  tableResizeChunkSize: 4,
  tableReplayBuffer: 256,
  tableChangesMax: 64,
};

export const tinySettings: ShardSettings = {
  ...shardDefaults,
  archive: 'test',
  shard: 0,
  engine: tinyEngine,
  commitDelayMs: 5,
  commitPutsMax: 1000,
  syncIntervalMs: 1000,
  reopenDelayMs: 10,
  reopenDelayMaxMs: 100,
  reopenAttemptsMax: 3,
  spaceReserve: 256,
};

/** The lock of a machine: it is lost with it. */
export class FakeLock implements OwnerLock {
  #held = false;

  get held(): boolean {
    return this.#held;
  }

  async acquire(): Promise<HeldLock> {
    if (this.#held) throw new ShardError('owned', 'owned by another test');
    this.#held = true;
    return {
      release: () => {
        this.#held = false;
      },
    };
  }
}

export interface OpenedShard {
  readonly shard: Shard;
  readonly disk: SimulatedDisk;
  readonly clock: ManualClock;
  readonly lock: FakeLock;
}

/** A shard on a simulated disk with a clock that the test moves. */
export async function openShard(
  disk = new SimulatedDisk(),
  settings: Partial<ShardSettings> = {},
  deps: Partial<ShardDeps> = {},
): Promise<OpenedShard> {
  const clock = new ManualClock();
  const lock = new FakeLock();
  const shard = await Shard.open(
    { disk, lock, clock, logger: silentLogger, published: undefined, ...deps },
    { ...tinySettings, ...settings },
  );
  return { shard, disk, clock, lock };
}

/** A put of texts by key. */
export function put(
  putId: string,
  records: Readonly<Record<string, string>> | readonly (readonly [string, string])[],
  options: { readonly redelivered?: boolean; readonly ifExists?: IfExists } = {},
): PutRequest {
  const pairs = Array.isArray(records) ? (records as readonly (readonly [string, string])[]) : Object.entries(records);
  return {
    putId,
    redelivered: options.redelivered ?? false,
    ifExists: options.ifExists ?? 'append',
    records: pairs.map(([key, text]) => ({ key, storedKey: archiveKey(key), payload: Buffer.from(text) })),
  };
}

/** Lets everything run that waits for nothing but the event loop. */
export async function turns(count = 40): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Moves the clock from timer to timer until the promise settles. */
export async function settled<T>(promise: Promise<T>, clock: ManualClock): Promise<T> {
  let over = false;
  const watched = promise.finally(() => {
    over = true;
  });
  watched.catch(() => {});
  for (let step = 0; !over && step < 4000; step++) {
    await turns(1);
    if (!over && step % 8 === 7) clock.advance(clock.nextTimerMs ?? 0);
  }
  return watched;
}

/** The text of a key, or the kind of the answer. */
export async function textOf(shard: Shard, key: string): Promise<string> {
  const [answer] = await shard.lookupMany([{ key, storedKey: archiveKey(key) }]);
  return textIn(answer);
}

export function textIn(answer: Answer | undefined): string {
  if (answer === undefined) return 'no answer';
  return answer.kind === 'found' ? `=${Buffer.from(answer.payload).toString()}` : answer.kind;
}
