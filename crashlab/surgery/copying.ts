/** Salvaging a damaged shard: what is copied was stored, what was stored is copied or listed, and the shard is untouched. */
import { silentLogger } from '../../src/base/logger.ts';
import { headerSize } from '../../src/blob/header.ts';
import { physicalPageSize } from '../../src/blob/page.ts';
import { recordSize } from '../../src/freezer/key-record.ts';
import { type Loss, salvage } from '../../src/freezer/salvage.ts';
import { sectionName } from '../../src/journal/section-blobs.ts';
import { archiveKeySize, freezerSettingsOf } from '../../src/shard/engine-settings.ts';
import type { Envelope } from '../../src/shard/envelope.ts';
import { FakeLock } from '../../test/shard/shard-harness.ts';
import { ManualClock } from '../../test/simulation/manual-clock.ts';
import { SimulatedDisk } from '../../test/simulation/simulated-disk.ts';
import type { Damage } from './damages.ts';
import { damagedDisk, isRecord, requireUnchanged, type Surgeons, violation } from './operation.ts';
import { type Sample, type Stored, sampleEngine, sampleSettings } from './sample.ts';

/** Copies what is readable: all of it as it was stored, the rest listed, and the old shard untouched. */
export async function judgeSalvage(
  sample: Sample,
  damage: Damage,
  surgeon: Surgeons,
): Promise<{ readonly salvaged: number; readonly lost: number }> {
  const from = damagedDisk(sample, damage);
  const to = new SimulatedDisk();
  const losses: Loss[] = [];
  const deps = { lock: new FakeLock(), clock: new ManualClock(), logger: silentLogger };
  const report = await surgeon.salvage(
    { disk: from, lock: new FakeLock() },
    { ...deps, disk: to },
    sampleSettings,
    (loss) => losses.push(loss),
  );
  requireUnchanged(damage, damagedDisk(sample, damage), from, 'salvage');
  const copied = await recordsOn(to);
  if (copied.length !== report.recordCount)
    throw violation(damage, `salvage counts ${report.recordCount} records, the copy has ${copied.length}`);
  const lost = lostOf(sample, damage, copied);
  for (const record of lost) {
    if (damage.sections !== undefined || losses.some((loss) => isAbout(loss, record, damage))) continue;
    throw violation(damage, `record ${record.section}/${record.position} is neither salvaged nor listed as lost`);
  }
  return { salvaged: copied.length, lost: lost.length };
}

async function recordsOn(disk: SimulatedDisk): Promise<Envelope[]> {
  const records: Envelope[] = [];
  for await (const found of salvage(disk, freezerSettingsOf(sampleEngine))) {
    if (found.kind === 'record') records.push(found.record.value);
    else throw new Error(`the salvaged copy is damaged: ${found.loss.reason}`);
  }
  return records;
}

/** The records that were not copied. Everything that was is a stored record, once, and in its order. */
function lostOf({ stored }: Sample, damage: Damage, copied: readonly Envelope[]): readonly Stored[] {
  if (damage.sections !== undefined) return lostOfSections(stored, damage, damage.sections, copied);
  const lost: Stored[] = [];
  let at = 0;
  for (const record of stored) {
    const next = copied[at];
    if (next !== undefined && isRecord(next, record)) at++;
    else lost.push(record);
  }
  const invented = copied[at];
  if (invented !== undefined) throw notStored(damage, invented);
  return lost;
}

/** Whole sections from elsewhere are copied as they are: in the order of the files, with the records that came along. */
function lostOfSections(
  stored: readonly Stored[],
  damage: Damage,
  others: readonly Stored[],
  copied: readonly Envelope[],
): readonly Stored[] {
  const pool = [...stored, ...others];
  for (const record of copied) {
    const at = pool.findIndex((candidate) => isRecord(record, candidate));
    if (at === -1) throw notStored(damage, record);
    pool.splice(at, 1);
  }
  return stored.filter((record) => pool.includes(record));
}

function notStored(damage: Damage, { putId, recordIndex }: Envelope): Error {
  return violation(damage, `salvage copied ${putId}/${recordIndex}, which was not stored, or not there`);
}

/** Whether the loss is told of this record, of its page, or of a part of a file that it lay in. */
function isAbout(loss: Loss, { section, position, valueEnd }: Stored, { isReplaced }: Damage): boolean {
  if (!loss.file.endsWith(sectionName(section)) && loss.file !== `section ${section}`) return false;
  if (isReplaced === true) return true;
  if (loss.position !== undefined) return loss.position === position;
  if (loss.offset <= headerSize) return true;
  if (loss.file.startsWith('value/')) return loss.offset < headerSize + valueEnd;
  const page = Math.floor((loss.offset - headerSize) / physicalPageSize(sampleEngine.pageSize));
  const size = recordSize(archiveKeySize);
  const end = (position + 1) * size;
  return end > page * sampleEngine.pageSize;
}
