import { type EngineSettings, engineDefaults } from './engine-settings.ts';
import { ShardError } from './shard-error.ts';

/** How a shard works. Times are milliseconds, sizes bytes. */
export interface ShardSettings {
  readonly archive: string;
  readonly shard: number;
  readonly engine: EngineSettings;
  /** How long a put may wait for others that are expected to share its commit. */
  readonly commitDelayMs: number;
  /** A commit starts at once when so much waits. */
  readonly commitBytesMax: number;
  readonly commitRecordsMax: number;
  /** A commit starts at once when so many puts wait. */
  readonly commitPutsMax: number;
  /** Puts that would make more than this wait are refused as `overloaded`. */
  readonly waitingBytesMax: number;
  readonly waitingRecordsMax: number;
  /** Time between two syncs. */
  readonly syncIntervalMs: number;
  /** First and longest time between two attempts to open a second instance. */
  readonly reopenDelayMs: number;
  readonly reopenDelayMaxMs: number;
  /** Attempts that may fail in a row; then the shard has failed. A full disk is waited for without end. */
  readonly reopenAttemptsMax: number;
  /** Space that must be free before a shard that met a full disk goes on. */
  readonly spaceReserve: number;
  /** `--trust-volume`: where Redis objects to the volume, the volume is right. */
  readonly trustVolume: boolean;
}

const mib = 1024 * 1024;

/** Everything but the name of the archive and the number of the shard. */
export const shardDefaults: Omit<ShardSettings, 'archive' | 'shard'> = {
  engine: engineDefaults,
  commitDelayMs: 10,
  commitBytesMax: 8 * mib,
  commitRecordsMax: 10_000,
  commitPutsMax: 128,
  waitingBytesMax: 256 * mib,
  waitingRecordsMax: 1_000_000,
  syncIntervalMs: 10_000,
  reopenDelayMs: 100,
  reopenDelayMaxMs: 10_000,
  reopenAttemptsMax: 20,
  spaceReserve: 64 * mib,
  trustVolume: false,
};

/** Records of a put, and of a batch of several puts: with them the changed buckets never overflow between two syncs. */
export function batchRecordsMax(engine: EngineSettings): number {
  return Math.floor(engine.tableChangesMax / 4);
}

/** Refuses with `invalid-settings` what would stand still or overflow. The engine checks its own. */
export function checkShardSettings(settings: ShardSettings): void {
  const positive = [
    'commitBytesMax',
    'commitRecordsMax',
    'commitPutsMax',
    'waitingBytesMax',
    'waitingRecordsMax',
    'syncIntervalMs',
    'reopenAttemptsMax',
  ] as const;
  for (const name of positive) require(settings[name] > 0, name, settings[name], 'above 0');
  for (const name of ['commitDelayMs', 'reopenDelayMs', 'reopenDelayMaxMs', 'spaceReserve'] as const) {
    require(settings[name] >= 0, name, settings[name], 'at least 0');
  }
  const { tableChangesMax } = settings.engine;
  require(tableChangesMax >= 16, 'tableChangesMax', tableChangesMax, 'at least 16');
}

function require(holds: boolean, name: string, found: number, expected: string): void {
  if (holds) return;
  throw new ShardError('invalid-settings', `${name} is ${found}, must be ${expected}`, { details: { name, found } });
}
