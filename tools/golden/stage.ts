import fs from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { unreachable } from '../../src/base/assert.ts';
import { NodeDisk } from '../../src/disk/node-disk.ts';
import { SimulatedDisk } from '../../test/simulation/simulated-disk.ts';
import { GoldenError } from './golden-error.ts';
import type { CrashKind } from './scenario.ts';
import type { Stage } from './scenario-replay.ts';

/** A stage on real files: no crash takes place there. */
export function realStage(directory: string): Stage {
  return {
    disk: new NodeDisk(directory),
    crash(): never {
      throw new GoldenError('real files do not crash');
    },
  };
}

/** A stage on which a crash loses what the scenario says. */
export function simulatedStage(): Stage {
  let disk = new SimulatedDisk();
  return {
    get disk() {
      return disk;
    },
    crash(kind: CrashKind): void {
      disk = disk.crash(survivalOf(kind));
    },
  };
}

/** Runs work with an empty directory that is gone afterwards. */
export async function withScratch<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await fs.mkdtemp(join(os.tmpdir(), 'permafrost-golden-'));
  try {
    return await work(directory);
  } finally {
    await fs.rm(directory, { recursive: true, force: true });
  }
}

function survivalOf(kind: CrashKind): 'all' | 'synced' {
  switch (kind) {
    case 'keepall':
      return 'all';
    case 'synced':
      return 'synced';
    default:
      return unreachable(kind);
  }
}
