import { NodeDisk } from '../src/disk/node-disk.ts';
import { Freezer } from '../src/freezer/freezer.ts';
import type { FreezerSettings } from '../src/freezer/settings.ts';
import { bytesCodec } from '../src/freezer/value-codec.ts';
import type { Contender, ContenderReader } from './contender.ts';

const mebibyte = 1024 * 1024;

/** What a shard runs with, apart from the key size: see the defaults of the service's configuration. */
function benchSettings(keyBytes: number): FreezerSettings<Uint8Array> {
  return {
    keyPartition: 'key',
    valuePartition: 'value',
    tablePartition: 'table',
    keySize: keyBytes,
    keyPageCache: { pageSize: 4084, pages: 4096 },
    valueCodec: bytesCodec,
    keyWriteBuffer: mebibyte,
    valueWriteBuffer: 4 * mebibyte,
    valueTargetSize: 1024 * mebibyte,
    tableInitialSize: 65_536,
    tableResizeFrequency: 4,
    tableResizeChunkSize: 131_072,
    tableReplayBuffer: mebibyte,
    tableChangesMax: mebibyte,
  };
}

/**
 * The freezer by itself: a batch is `putMany` and `commit`, and every `syncMs`, or after as many puts as half the
 * table has buckets, a sync on top. The sync is part of the measured time.
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
  return {
    async putDurably(batch): Promise<void> {
      await freezer.putMany(batch);
      await freezer.commit();
      commits++;
      putsSinceSync += batch.length;
      if (performance.now() - syncedAtMs < syncMs && putsSinceSync < freezer.tableSize / 2) return;
      checkpoint = await freezer.sync();
      syncs++;
      putsSinceSync = 0;
      syncedAtMs = performance.now();
    },
    async close(): Promise<void> {
      checkpoint = await freezer.sync();
      await freezer.release();
    },
    facts: () => ({ commits, syncs, buckets: checkpoint.tableSize }),
    async reopen(): Promise<ContenderReader> {
      const again = await Freezer.open(disk, settings, { kind: 'checkpoint', checkpoint });
      return { getMany: (keys) => again.getMany(keys.map((key) => ({ key }))), close: () => again.release() };
    },
  };
}
