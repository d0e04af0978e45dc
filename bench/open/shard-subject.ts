import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { storedKeyOf } from '../../src/protocol/record-key.ts';
import { engineDefaults } from '../../src/shard/engine-settings.ts';
import { directoryLock } from '../../src/shard/owner-lock.ts';
import { shardDefaults } from '../../src/shard/settings.ts';
import { Shard } from '../../src/shard/shard.ts';
import { prepareShardDirectory } from '../../src/shard/shard-directory.ts';
import { BenchError } from '../bench-error.ts';
import { ScanClock } from './scan-clock.ts';
import type { Opened, StoreInMaking, Subject } from './subject.ts';

/** A whole shard, as a worker opens it: lock, identity, checkpoint, engine. Keys are texts, filed under their SHA-256. */
export const shardSubject: Subject = {
  async create(directory, sectionBytes): Promise<StoreInMaking> {
    const shard = await openShard(directory, sectionBytes, new ScanClock());
    let putCount = 0;
    return {
      async put(batch): Promise<void> {
        const records = batch.map(({ key, value }) => ({ ...keysOf(key), payload: value }));
        await shard.put({ putId: `bench-${putCount++}`, redelivered: false, ifExists: 'append', records });
      },
      async close(): Promise<void> {
        const { clean } = await shard.close();
        if (!clean) throw new BenchError('the shard did not close well');
      },
    };
  },

  async open(directory, sectionBytes): Promise<Opened> {
    const scan = new ScanClock();
    const shard = await openShard(directory, sectionBytes, scan);
    const { end, tableSize } = shard.freezer;
    return {
      facts: { sections: end.section + 1, buckets: tableSize, ...scan.facts },
      async get(key) {
        const [answer] = await shard.lookupMany([keysOf(key)]);
        return answer?.kind === 'found' ? answer.payload : undefined;
      },
      async close(): Promise<void> {
        await shard.close();
      },
    };
  },
};

async function openShard(parent: string, valueTargetSize: number, scan: ScanClock): Promise<Shard> {
  const directory = join(parent, 'shard-0000');
  const disk = await prepareShardDirectory(directory);
  const deps = { disk, lock: directoryLock(directory), clock: systemClock, logger: silentLogger, published: undefined };
  const engine = { ...engineDefaults, valueTargetSize };
  const settings = { ...shardDefaults, archive: 'bench', shard: 0, engine };
  return Shard.open({ ...deps, hooks: { onProgress: scan.note } }, settings);
}

function keysOf(bytes: Buffer): { readonly key: string; readonly storedKey: Buffer } {
  const key = bytes.toString('base64url');
  return { key, storedKey: storedKeyOf(key) };
}
