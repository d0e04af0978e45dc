import { NodeDisk } from '../../src/disk/node-disk.ts';
import { Freezer } from '../../src/freezer/freezer.ts';
import type { FreezerSettings } from '../../src/freezer/settings.ts';
import { bytesCodec } from '../../src/freezer/value-codec.ts';
import { engineDefaults, freezerSettingsOf } from '../../src/shard/engine-settings.ts';
import type { Contender, ContenderReader } from './contender.ts';

/** What a shard runs with by default, for keys of another size and values without an envelope. */
export function benchSettings(keySize: number): FreezerSettings<Uint8Array> {
  return { ...freezerSettingsOf(engineDefaults), keySize, valueCodec: bytesCodec };
}

/**
 * The freezer by itself: a batch is `putMany` and `commit`, and every `syncMs`, or after more puts than half the
 * table has buckets, as in a shard, a sync on top. The sync is part of the measured time.
 */
export async function openPermafrost(directory: string, keyBytes: number, syncMs: number): Promise<Contender> {
  const settings = benchSettings(keyBytes);
  const disk = new NodeDisk(directory);
  const freezer = await Freezer.open(disk, settings, { kind: 'create' });
  let syncedAtMs = performance.now();
  let putsSinceSync = 0;
  let syncs = 0;
  let commits = 0;
  let checkpoint = await freezer.sync();
  let tableState = freezer.tableState;
  const sync = async (): Promise<void> => {
    checkpoint = await freezer.sync();
    tableState = freezer.tableState;
    syncs++;
    putsSinceSync = 0;
    syncedAtMs = performance.now();
  };
  return {
    async putDurably(batch): Promise<void> {
      await freezer.putMany(batch);
      await freezer.commit();
      commits++;
      putsSinceSync += batch.length;
      if (performance.now() - syncedAtMs >= syncMs || putsSinceSync > freezer.tableSize / 2) await sync();
    },
    async close(): Promise<void> {
      await sync();
      await freezer.release();
    },
    facts: () => ({ commits, syncs, buckets: checkpoint.tableSize }),
    async reopen(): Promise<ContenderReader> {
      const again = await Freezer.open(disk, settings, { kind: 'clean', checkpoint, table: tableState });
      return {
        get: (key) => again.get({ key }),
        getMany: (keys) => again.getMany(keys.map((key) => ({ key }))),
        close: () => again.release(),
      };
    },
  };
}
