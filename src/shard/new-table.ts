import type { Disk } from '../disk/disk.ts';
import type { FreezerHooks } from '../freezer/hooks.ts';
import { rebuildTable } from '../freezer/rebuild.ts';
import { openCheckpointFile, type SavedCheckpoint } from './checkpoint-file.ts';
import { type EngineSettings, freezerSettingsOf } from './engine-settings.ts';
import { prepareTableDigests, replaceTableDigests } from './table-digests.ts';

/**
 * Makes the table, and its digests, anew from the key index, at the newest checkpoint. Nobody has the shard open. What of
 * the key index cannot be read is corruption, and the old table stays.
 *
 * The clean mark goes first: an opening after a crash in between then looks through the table, and what is not as the
 * digests say is derived from the key index.
 */
export async function makeTable(
  disk: Disk,
  engine: EngineSettings,
  hooks: FreezerHooks = {},
): Promise<SavedCheckpoint> {
  const file = await openCheckpointFile(disk);
  try {
    const saved = { ...file.newest.value, clean: false };
    if (file.newest.value.clean) await file.write(saved);
    const digests = await rebuildTable(disk, freezerSettingsOf(engine), saved.checkpoint, hooks);
    await prepareTableDigests(disk);
    await replaceTableDigests(disk, saved, digests);
    return saved;
  } finally {
    await file.close();
  }
}
