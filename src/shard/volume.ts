/**
 * The shard directory as a whole: what is in it, and making a new shard there.
 *
 * Creation begins with a checkpoint file of epoch 0 and ends with the first sync, whose checkpoint goes to both slots.
 * Before that no put is admitted, so a creation that a crash interrupted is begun anew, under the same instance id;
 * sections, of which there can be none yet, are never removed.
 */
import { randomUUID } from 'node:crypto';
import type { Disk } from '../disk/disk.ts';
import { journalStart } from '../journal/journal-end.ts';
import {
  checkpointFile,
  createCheckpointFile,
  isUnfinished,
  readCheckpointFile,
  type SavedCheckpoint,
} from './checkpoint-file.ts';
import { commitMarkFile, createCommitMark } from './commit-mark.ts';
import { partitionNames, tablePartition } from './engine-settings.ts';
import { type ExpectedIdentity, identityFile, writeIdentity } from './identity.ts';
import { SectionManifest, sectionManifestFile } from './section-manifest.ts';
import { damaged } from './shard-error.ts';
import type { VolumeState } from './start-up.ts';
import { openFreezer, Store, type StoreDeps } from './store.ts';
import { prepareTableDigests, tableDigestFiles } from './table-digests.ts';
import { unfinishedSalvageFile } from './unfinished-salvage.ts';

const ownFiles: readonly string[] = [
  checkpointFile,
  commitMarkFile,
  identityFile,
  sectionManifestFile,
  ...tableDigestFiles,
];

/** What the directory holds. Other names than a shard's are nobody's business. Reads only. */
export async function readVolume(disk: Disk): Promise<VolumeState> {
  const names = (await disk.list('')) ?? [];
  if (names.includes(unfinishedSalvageFile)) return { kind: 'half-salvaged' };
  const present = names.filter((name) => ownFiles.includes(name) || partitionNames.includes(name)).sort();
  const reading = await readCheckpointFile(disk);
  if (reading === undefined) {
    return present.length === 0 ? { kind: 'empty' } : { kind: 'orphaned', present, missing: checkpointFile };
  }
  const saved = reading.value;
  if (isUnfinished(saved)) return { kind: 'unfinished', instance: saved.instance };
  if (!present.includes(identityFile)) return { kind: 'orphaned', present, missing: identityFile };
  return { kind: 'whole', instance: saved.instance, epoch: saved.checkpoint.epoch };
}

/** Makes a new shard in a directory that is empty, or holds a creation that a crash interrupted. */
export async function createVolume(
  deps: StoreDeps,
  expected: ExpectedIdentity,
  instance = randomUUID() as string,
): Promise<Store> {
  const { disk, clock } = deps;
  const nothing: SavedCheckpoint = {
    checkpoint: { epoch: 0, section: 0, keyBytes: 0, tableSize: 0 },
    instance,
    valueBytes: 0,
    table: { resizeProgress: undefined, resizable: 0, initialSize: deps.engine.tableInitialSize },
    tableBytes: 0,
    resizeFrequency: deps.engine.tableResizeFrequency,
    clean: false,
    savedAtMs: clock.wallMs(),
  };
  await clearPartitions(disk);
  const opened: (() => Promise<void>)[] = [];
  try {
    const checkpoint = await createCheckpointFile(disk, nothing);
    opened.push(() => checkpoint.close());
    await writeIdentity(disk, { ...expected, instance, created: new Date(clock.wallMs()).toISOString() });
    await prepareTableDigests(disk);
    const manifest = await SectionManifest.create(disk);
    opened.push(() => manifest.close());
    const mark = await createCommitMark(disk, journalStart);
    opened.push(() => mark.close());
    const freezer = await openFreezer(deps, manifest, { kind: 'create' });
    opened.push(() => freezer.release());
    const store = new Store(deps, { checkpoint, mark, manifest }, freezer);
    await store.sync({ clean: false });
    await checkpoint.write(store.saved);
    return store;
  } catch (error) {
    // What failed first is what is told.
    await Promise.allSettled(opened.map((close) => close()));
    throw error;
  }
}

/** Removes the empty table that an interrupted creation left; any section file means that it was none. */
async function clearPartitions(disk: Disk): Promise<void> {
  for (const partition of partitionNames) {
    const names = (await disk.list(partition)) ?? [];
    if (names.length > 0 && partition !== tablePartition) {
      throw damaged(partition, `holds ${names.length} files, but the checkpoint says that the shard was never used`);
    }
    for (const name of names) await disk.remove(`${partition}/${name}`);
    if (names.length > 0) await disk.syncDirectory(partition);
  }
}
