import type { Disk } from '../disk/disk.ts';
import { salvage } from '../freezer/salvage.ts';
import type { JournalEnd } from '../journal/journal-end.ts';
import { checkpointFile, readCheckpointFile, type SavedCheckpoint } from './checkpoint-file.ts';
import { readCommitMark } from './commit-mark.ts';
import { type EngineSettings, freezerSettingsOf, withParameters } from './engine-settings.ts';
import type { Envelope } from './envelope.ts';
import { type Identity, identityFile, readIdentity } from './identity.ts';
import { lastBackupFile, lastScrubFile, readLastSuccess } from './last-success.ts';
import { SectionManifest } from './section-manifest.ts';
import { recordCountOf } from './shard-checkpoint.ts';
import { damaged } from './shard-error.ts';
import { tableBytesOf } from './store.ts';

/** What a shard's files say about it. */
export interface Inspection {
  readonly identity: Identity;
  readonly saved: SavedCheckpoint;
  /** One of the two checkpoint slots cannot be read. */
  readonly slotUnreadable: boolean;
  /** Number of the last commit, and where the one before it ended. */
  readonly mark: { readonly sequence: number; readonly previous: JournalEnd } | undefined;
  /** Ends of the sections that were left. */
  readonly sealed: readonly JournalEnd[];
  /** Records at the checkpoint, all versions. */
  readonly recordCount: number;
  readonly tableBytes: number;
  /** Records a bucket. */
  readonly tableLoad: number;
  /** Wall clock of the end of the last backup; undefined for never. */
  readonly lastBackupMs: number | undefined;
  /** The same of the last scrub that found nothing. */
  readonly lastScrubMs: number | undefined;
  /** The first records of the archive. */
  readonly sample: readonly Envelope[];
}

/** Reads a shard's files without changing or locking anything; a worker may run beside it. */
export async function inspectShard(disk: Disk, engine: EngineSettings, sampleCount: number): Promise<Inspection> {
  const identity = await readIdentity(disk);
  if (identity === undefined) throw damaged(identityFile, 'the file is missing');
  const checkpoint = await readCheckpointFile(disk);
  if (checkpoint === undefined) throw damaged(checkpointFile, 'the file is missing');
  const { value: saved, otherUnreadable: slotUnreadable } = checkpoint;
  const mark = await readCommitMark(disk);
  const { ends: sealed } = await SectionManifest.read(disk);
  const recordCount = recordCountOf(saved, sealed);
  return {
    identity,
    saved,
    slotUnreadable,
    mark: mark === undefined ? undefined : { sequence: mark.sequence, previous: mark.value },
    sealed,
    recordCount,
    tableBytes: await tableBytesOf(disk),
    tableLoad: saved.checkpoint.tableSize === 0 ? 0 : recordCount / saved.checkpoint.tableSize,
    lastBackupMs: await readLastSuccess(disk, lastBackupFile),
    lastScrubMs: await readLastSuccess(disk, lastScrubFile),
    sample: await sampleOf(disk, withParameters(engine, identity.engine), sampleCount),
  };
}

async function sampleOf(disk: Disk, engine: EngineSettings, count: number): Promise<readonly Envelope[]> {
  const sample: Envelope[] = [];
  if (count === 0) return sample;
  for await (const found of salvage(disk, freezerSettingsOf(engine))) {
    if (found.kind === 'record') sample.push(found.record.value);
    if (sample.length >= count) break;
  }
  return sample;
}
