import fs from 'node:fs/promises';
import { join } from 'node:path';
import { NodeDisk } from '../../src/disk/node-disk.ts';
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from '../../src/freezer/checkpoint.ts';
import { Freezer } from '../../src/freezer/freezer.ts';
import type { FreezerSettings } from '../../src/freezer/settings.ts';
import type { FreezerStart, TableState } from '../../src/freezer/start.ts';
import { benchSettings } from '../contender/permafrost.ts';
import { ScanClock } from './scan-clock.ts';
import type { Opened, StoreInMaking, Subject } from './subject.ts';

const keySize = 32;
const stateFile = 'bench-state.json';

/** What the caller of the engine keeps for it. */
interface Saved {
  readonly checkpoint: string;
  readonly table: TableState;
  readonly clean: boolean;
}

/** The engine's own door: the caller keeps the checkpoint. Synced after as many puts as half the table has buckets. */
export const engineSubject: Subject = {
  async create(directory, sectionBytes): Promise<StoreInMaking> {
    const freezer = await Freezer.open(new NodeDisk(directory), settingsOf(sectionBytes), { kind: 'create' });
    const sync = async (clean: boolean): Promise<void> => {
      const checkpoint = await freezer.sync();
      // Without digests, which are no JSON: what they cost is measured with the shard.
      await save(directory, checkpoint, { ...freezer.tableState, digests: undefined }, clean);
    };
    await sync(false);
    let unsyncedCount = 0;
    return {
      async put(batch): Promise<void> {
        await freezer.putMany(batch);
        await freezer.commit();
        unsyncedCount += batch.length;
        if (unsyncedCount <= freezer.tableSize / 2) return;
        await sync(false);
        unsyncedCount = 0;
      },
      async close(): Promise<void> {
        await sync(true);
        await freezer.release();
      },
    };
  },

  async open(directory, sectionBytes): Promise<Opened> {
    const { clean, table, checkpoint: text }: Saved = JSON.parse(await fs.readFile(join(directory, stateFile), 'utf8'));
    const checkpoint = decodeCheckpoint(Buffer.from(text, 'hex'));
    const start: FreezerStart = clean ? { kind: 'clean', checkpoint, table } : { kind: 'roll-forward', checkpoint };
    const scan = new ScanClock();
    const freezer = await Freezer.open(new NodeDisk(directory), settingsOf(sectionBytes), start, {
      progress: scan.note,
    });
    return {
      facts: { sections: freezer.end.section + 1, buckets: freezer.tableSize, ...scan.facts },
      get: (key) => freezer.get({ key }),
      close: () => freezer.release(),
    };
  },
};

function settingsOf(sectionBytes: number): FreezerSettings<Uint8Array> {
  return { ...benchSettings(keySize), valueTargetSize: sectionBytes };
}

async function save(directory: string, checkpoint: Checkpoint, table: TableState, clean: boolean): Promise<void> {
  const saved: Saved = { checkpoint: encodeCheckpoint(checkpoint).toString('hex'), table, clean };
  await fs.writeFile(join(directory, stateFile), JSON.stringify(saved));
}
