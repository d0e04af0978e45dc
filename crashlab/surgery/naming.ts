/**
 * Verifying a damaged shard: each damage is named, with the damaged file, unless nothing can tell it.
 *
 * What nothing can tell, and nothing depends on: bytes of a key page that no checksum in use covers, the line feed at
 * the end of the identity, a whole commit mark of another shard that lies before the checkpoint, a slot of the table
 * that was zeroed as a whole and is not its bucket's newest. After a crash also: slots of the table, which recovery
 * derives anew, what lies behind the commit mark, and the beginning of a line behind the section manifest.
 */
import { present } from '../../src/base/assert.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { headerSize } from '../../src/blob/header.ts';
import { checksumOffset, pageRecordSize, physicalPageSize, validatePage } from '../../src/blob/page.ts';
import { sectionName } from '../../src/journal/section-blobs.ts';
import { commitMarkDamage, commitMarkFile } from '../../src/shard/commit-mark.ts';
import { tableFile } from '../../src/shard/engine-settings.ts';
import { identityFile } from '../../src/shard/identity.ts';
import { sectionManifestFile } from '../../src/shard/section-manifest.ts';
import { FakeLock } from '../../test/shard/shard-harness.ts';
import { ManualClock } from '../../test/simulation/manual-clock.ts';
import { type Damage, type Files, isSoundTable } from './damages.ts';
import { damagedDisk, requireUnchanged, type Surgeons, violation } from './operation.ts';
import type { Outcome } from './reading.ts';
import { type Sample, sampleEngine, sampleSettings } from './sample.ts';

/** Looks at everything; whether the damaged file was named. Not naming one that can be told is a violation. */
export async function judgeVerify(
  sample: Sample,
  damage: Damage,
  outcome: Outcome,
  { verify }: Surgeons,
): Promise<boolean> {
  const disk = damagedDisk(sample, damage);
  const deps = { disk, lock: new FakeLock(), clock: new ManualClock(), logger: silentLogger };
  const report = await verify(deps, sampleSettings);
  if (disk.openHandles.length > 0) throw violation(damage, `verify left files open: ${disk.openHandles.join()}`);
  if (report.shard === undefined) requireUnchanged(damage, damagedDisk(sample, damage), disk, 'verify');
  const paths = [...damage.changes.keys()];
  if (report.problems.some((problem) => paths.some((path) => problem.includes(path)))) return true;
  if (outcome === 'cut' || (outcome === 'unharmed' && (await isUntold(sample, damage)))) return false;
  throw violation(damage, `verify does not name it (${outcome}): ${report.problems.join('; ') || 'no problem'}`);
}

async function isUntold(sample: Sample, damage: Damage): Promise<boolean> {
  const files = sample.disk.snapshot();
  for (const [path, bytes] of damage.changes) {
    if (bytes === undefined) return false;
    if (path === commitMarkFile) return (await commitMarkDamage(damagedDisk(sample, damage))).length === 0;
    if (!isUntoldIn(sample, files, path, bytes)) return false;
  }
  return true;
}

function isUntoldIn(sample: Sample, files: Files, path: string, bytes: Buffer): boolean {
  const before = present(files.get(path), 'a file of the sample');
  if (path === identityFile) return bytes.equals(before.subarray(0, -1));
  if (path === sectionManifestFile) return sample.kind === 'crashed' && bytes.subarray(0, before.length).equals(before);
  if (path === tableFile) return sample.kind === 'crashed' || (bytes.length === before.length && isSoundTable(bytes));
  return isBehindMark(sample, path) || (path.startsWith('key/') && changesNoVouchedByte(before, bytes));
}

function isBehindMark({ stored }: Sample, path: string): boolean {
  const behind = stored.filter(({ belowMark }) => !belowMark).map(({ section }) => sectionName(section));
  return behind.some((name) => path.endsWith(`/${name}`));
}

/** Whether all that differs lies in no checksum that governs a page, and in no bytes that one covers. */
function changesNoVouchedByte(before: Buffer, after: Buffer): boolean {
  if (before.length !== after.length) return false;
  const { pageSize } = sampleEngine;
  const vouched = (at: number): boolean => {
    if (at < headerSize) return true;
    const physical = physicalPageSize(pageSize);
    const within = (at - headerSize) % physical;
    const page = before.subarray(at - within, at - within + physical);
    const checksum = present(validatePage(page, pageSize), 'a page of a sound store');
    const slotAt = checksumOffset(pageSize, checksum.slot);
    return within < checksum.size || (within >= slotAt && within < slotAt + pageRecordSize / 2);
  };
  return before.every((byte, at) => byte === after[at] || !vouched(at));
}
