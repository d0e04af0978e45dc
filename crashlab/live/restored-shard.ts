import { systemClock } from '../../src/base/clock.ts';
import { messageOf } from '../../src/base/errors.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { NodeDisk } from '../../src/disk/node-disk.ts';
import { decodeCursor } from '../../src/freezer/cursor.ts';
import { parseCursor } from '../../src/protocol/cursor-text.ts';
import { storedKeyOf } from '../../src/protocol/record-key.ts';
import { endOf, readCheckpointFile } from '../../src/shard/checkpoint-file.ts';
import type { Answer } from '../../src/shard/lookup.ts';
import { directoryLock } from '../../src/shard/owner-lock.ts';
import { restoredSettings, restoreShard } from '../../src/shard/restore.ts';
import { Shard } from '../../src/shard/shard.ts';
import { prepareShardDirectory } from '../../src/shard/shard-directory.ts';
import { verifyShard } from '../../src/shard/verify.ts';
import { Violation } from '../experiment.ts';
import type { Acknowledged } from './receipt-journal.ts';
import { textOf, versionIn } from './record-text.ts';

export interface Restored {
  readonly epoch: number;
  /** Records in the shard, all versions. */
  readonly recordCount: number;
  /** Receipts that its checkpoint covers, each of which was looked up. */
  readonly coveredCount: number;
}

/** Restores the backup into the directory and looks up every receipt up to its checkpoint, by key and by cursor. */
export async function judgeBackup(
  backup: string,
  directory: string,
  receipts: readonly Acknowledged[],
): Promise<Restored> {
  const disk = await prepareShardDirectory(directory);
  const deps = { disk, lock: directoryLock(directory), clock: systemClock, logger: silentLogger };
  const report = await restoreShard(new NodeDisk(backup), deps);
  const covered = await coveredBy(disk, receipts);
  const settings = restoredSettings(report);
  const { problems, recordCount } = await verifyShard(deps, settings);
  if (problems.length > 0) throw new Violation(`verify of a restored shard: ${problems.slice(0, 5).join('; ')}`);
  if (recordCount !== report.recordCount)
    throw new Violation(`${report.recordCount} records were restored, ${recordCount} can be read`);
  const shard = await Shard.open({ ...deps, published: undefined }, settings);
  try {
    await lookUpAll(shard, covered);
  } finally {
    await shard.close();
  }
  return { epoch: report.epoch, recordCount, coveredCount: covered.length };
}

async function coveredBy(disk: NodeDisk, receipts: readonly Acknowledged[]): Promise<readonly Acknowledged[]> {
  const reading = await readCheckpointFile(disk);
  if (reading === undefined) throw new Violation('a restored shard without a checkpoint');
  const end = endOf(reading.value);
  return receipts.filter(({ cursor }) => {
    const { section, offset, size } = decodeCursor(parseCursor(cursor).bytes);
    return section < end.section || (section === end.section && offset + size <= end.valueBytes);
  });
}

const batchCount = 500;

async function lookUpAll(shard: Shard, receipts: readonly Acknowledged[]): Promise<void> {
  const newest = new Map<string, number>();
  for (const { key, version } of receipts) newest.set(key, Math.max(version, newest.get(key) ?? 0));
  for (let start = 0; start < receipts.length; start += batchCount) {
    const batch = receipts.slice(start, start + batchCount);
    const answers = await shard.lookupMany(
      batch.flatMap(({ key, cursor }) => [{ key, storedKey: storedKeyOf(key) }, { cursor: parseCursor(cursor).bytes }]),
    );
    for (const [index, receipt] of batch.entries()) {
      judgeByKey(receipt, newest.get(receipt.key) ?? 0, answers[2 * index]);
      judgeByCursor(receipt, answers[2 * index + 1]);
    }
  }
}

function judgeByKey({ key }: Acknowledged, leastVersion: number, answer: Answer | undefined): void {
  if (answer?.kind !== 'found') throw notFound(`'${key}'`, answer);
  const version = versionIn(key, Buffer.from(answer.payload));
  if (version === undefined || version < leastVersion)
    throw new Violation(`'${key}' of a restored shard gives version ${version}, its backup covers ${leastVersion}`);
}

function judgeByCursor({ key, version, size, cursor }: Acknowledged, answer: Answer | undefined): void {
  if (answer?.kind !== 'found') throw notFound(cursor, answer);
  if (answer.key === key && Buffer.from(answer.payload).equals(Buffer.from(textOf(key, version, size)))) return;
  throw new Violation(`${cursor} of a restored shard is not version ${version} of '${key}'`);
}

function notFound(what: string, answer: Answer | undefined): Violation {
  const reason = answer !== undefined && 'error' in answer ? messageOf(answer.error) : answer?.kind;
  return new Violation(`${what} is below the checkpoint of a backup and not in the shard restored from it: ${reason}`);
}
