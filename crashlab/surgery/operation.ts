/** What the judges of a damaged shard have in common. */

import type { Envelope } from '../../src/shard/envelope.ts';
import type { salvageShard } from '../../src/shard/salvage.ts';
import type { verifyShard } from '../../src/shard/verify.ts';
import type { openShard } from '../../test/shard/shard-harness.ts';
import type { SimulatedDisk } from '../../test/simulation/simulated-disk.ts';
import { Violation } from '../experiment.ts';
import { apply, type Damage } from './damages.ts';
import type { Sample, Stored } from './sample.ts';

/** The programs that are judged; the lab's own tests put broken ones in their place. */
export interface Surgeons {
  readonly open: typeof openShard;
  readonly verify: typeof verifyShard;
  readonly salvage: typeof salvageShard;
}

export function damagedDisk(sample: Sample, damage: Damage): SimulatedDisk {
  const disk = sample.disk.clone();
  apply(damage, disk);
  return disk;
}

export function requireUnchanged(damage: Damage, before: SimulatedDisk, after: SimulatedDisk, who: string): void {
  const [left, right] = [before.snapshot(), after.snapshot()];
  for (const path of new Set([...left.keys(), ...right.keys()])) {
    const [was, is] = [left.get(path), right.get(path)];
    if (was === undefined || is === undefined || !was.equals(is)) throw violation(damage, `${who} changed ${path}`);
  }
}

export function isRecord(found: Omit<Envelope, 'archivedAtMs'>, record: Stored): boolean {
  const text = Buffer.from(found.payload).toString();
  const { key, putId, recordIndex } = found;
  return key === record.key && text === record.text && putId === record.putId && recordIndex === record.recordIndex;
}

export function violation(damage: Damage, message: string, cause?: unknown): Violation {
  return new Violation(`${damage.what}: ${message}`, { cause });
}
