/**
 * Opening and reading a damaged shard: a refusal that changed nothing, or answers that are right or say that they are
 * corrupt. Nothing is wrong, and nothing is missing. Only of what a crash left behind the commit mark, damage may cut
 * the end off: it cannot be told from a torn commit.
 */
import { PermafrostError } from '../../src/base/errors.ts';
import { headerSize } from '../../src/blob/header.ts';
import { physicalPageSize } from '../../src/blob/page.ts';
import { crc32c } from '../../src/codec/crc32c.ts';
import { recordSize } from '../../src/freezer/key-record.ts';
import { sectionName } from '../../src/journal/section-blobs.ts';
import { archiveKey, archiveKeySize } from '../../src/shard/engine-settings.ts';
import type { Answer } from '../../src/shard/lookup.ts';
import { type openShard, settled } from '../../test/shard/shard-harness.ts';
import type { SimulatedDisk } from '../../test/simulation/simulated-disk.ts';
import type { Violation } from '../experiment.ts';
import type { Damage } from './damages.ts';
import { damagedDisk, isRecord, requireUnchanged, type Surgeons, violation } from './operation.ts';
import { type Sample, type Stored, sampleEngine, sampleSettings } from './sample.ts';

/**
 * How a damaged shard answered. `cut`: records behind the commit mark are gone, as after a torn commit. `hidden`: keys
 * of a section whose twin is in its place are missing or older, and only verify can know.
 */
export type Outcome = 'refused' | 'corrupt' | 'hidden' | 'cut' | 'unharmed';

export interface Reading {
  readonly outcome: Outcome;
  readonly answerCount: number;
}

/** Opens and reads all: a refusal that changed nothing, or each answer right or corrupt; never wrong, never missing. */
export async function judgeReading(sample: Sample, damage: Damage, { open }: Surgeons): Promise<Reading> {
  const disk = damagedDisk(sample, damage);
  let opened: Awaited<ReturnType<typeof openShard>>;
  try {
    opened = await open(disk, sampleSettings);
  } catch (error) {
    if (!(error instanceof PermafrostError)) throw violation(damage, `it was refused without a code: ${error}`, error);
    requireUnchanged(damage, damagedDisk(sample, damage), disk, 'the refused opening');
    return { outcome: 'refused', answerCount: 0 };
  }
  const { shard, clock } = opened;
  const newest = newestOf(sample.stored);
  const byKey = await shard.lookupMany(newest.map(({ key }) => ({ key, storedKey: archiveKey(key) })));
  const byCursor = await shard.lookupMany(sample.stored.map(({ cursor }) => ({ cursor })));
  await settled(shard.close(), clock);
  if (disk.openHandles.length > 0) throw violation(damage, `files were left open: ${disk.openHandles.join()}`);
  requireUncut(sample, damage, disk);
  const found = [...byCursorVerdicts(sample, damage, byCursor), ...byKeyVerdicts(sample, damage, newest, byKey)];
  const outcome = (['corrupt', 'hidden', 'cut'] as const).find((verdict) => found.includes(verdict)) ?? 'unharmed';
  return { outcome, answerCount: found.length };
}

type Verdict = 'right' | 'corrupt' | 'hidden' | 'cut';

function byCursorVerdicts(sample: Sample, damage: Damage, answers: readonly Answer[]): Verdict[] {
  let isCut = false;
  return sample.stored.map((record, index) => {
    const answer = answers[index];
    const name = `record ${record.section}/${record.position} by its cursor`;
    if (answer?.kind === 'corrupt') return 'corrupt';
    if (answer?.kind === 'found' && isRecord(answer, record)) {
      if (isCut) throw violation(damage, `${name} is there, one before it was cut`);
      return 'right';
    }
    if (answer?.kind !== 'invalid' || !mayBeCut(sample, damage, record)) throw wrong(damage, name, record, answer);
    isCut = true;
    return 'cut';
  });
}

function byKeyVerdicts(
  sample: Sample,
  damage: Damage,
  newest: readonly Stored[],
  answers: readonly Answer[],
): Verdict[] {
  const mayHide = hidden(sample, damage);
  return newest.map((record, index) => {
    const answer = answers[index];
    if (answer?.kind === 'corrupt') return 'corrupt';
    if (mayHide(record) && isMissingOrOlder(sample, record, answer)) return 'hidden';
    const versions = sample.stored.filter(({ key }) => key === record.key).reverse();
    for (const version of versions) {
      if (answer?.kind === 'found' && isRecord(answer, version)) return version === record ? 'right' : 'cut';
      if (!mayBeCut(sample, damage, version)) throw wrong(damage, `key ${record.key}`, version, answer);
    }
    if (answer?.kind !== 'missing') throw wrong(damage, `key ${record.key}`, record, answer);
    return 'cut';
  });
}

/**
 * Of which keys nothing but verify can tell that they are missing, or that an older version is the newest: those that a
 * key of the twin shares its chain with.
 */
function hidden({ stored }: Sample, { isTwin }: Damage): (record: Stored) => boolean {
  const chainOf = (key: string): number => (crc32c(archiveKey(key)) & (sampleEngine.tableInitialSize - 1)) >>> 0;
  return ({ key }) =>
    isTwin === true && stored.some((other) => other.key !== key && chainOf(other.key) === chainOf(key));
}

function isMissingOrOlder({ stored }: Sample, newest: Stored, answer: Answer | undefined): boolean {
  if (answer?.kind !== 'found') return answer?.kind === 'missing';
  return stored.some((version) => version !== newest && version.key === newest.key && isRecord(answer, version));
}

/** Behind the commit mark, damage of the journals looks like a torn commit. */
function mayBeCut({ stored }: Sample, { changes }: Damage, record: Stored): boolean {
  if (record.belowMark) return false;
  const sections = new Set(stored.filter(({ belowMark }) => !belowMark).map(({ section }) => sectionName(section)));
  return [...changes.keys()].some((path) => {
    const [folder, name] = path.split('/');
    return (folder === 'key' || folder === 'value') && sections.has(name ?? '');
  });
}

function newestOf(stored: readonly Stored[]): readonly Stored[] {
  return [...new Map(stored.map((record) => [record.key, record])).values()];
}

/** Nothing that a record below the mark needs was cut off by opening. */
function requireUncut(sample: Sample, damage: Damage, disk: SimulatedDisk): void {
  const before = damagedDisk(sample, damage).snapshot();
  const needed = new Map<string, number>();
  for (const { belowMark, section, position } of sample.stored) {
    const pageCount = Math.ceil(((position + 1) * recordSize(archiveKeySize)) / sampleEngine.pageSize);
    if (belowMark)
      needed.set(`key/${sectionName(section)}`, headerSize + pageCount * physicalPageSize(sampleEngine.pageSize));
    if (belowMark) needed.set(`value/${sectionName(section)}`, headerSize);
  }
  for (const { belowMark, section, valueEnd } of sample.stored)
    if (belowMark) needed.set(`value/${sectionName(section)}`, headerSize + valueEnd);
  for (const [path, size] of needed) {
    const [was, is] = [before.get(path)?.length ?? 0, disk.files().includes(path) ? disk.bytesOf(path).length : 0];
    if (is < Math.min(was, size)) throw violation(damage, `opening cut ${path} from ${was} to ${is} bytes`);
  }
}

function wrong(damage: Damage, name: string, record: Stored, answer: Answer | undefined): Violation {
  const found = answer?.kind === 'found' ? `"${Buffer.from(answer.payload)}" of ${answer.putId}` : answer?.kind;
  return violation(damage, `${name}: expected "${record.text}" of ${record.putId}, found ${found}`);
}
