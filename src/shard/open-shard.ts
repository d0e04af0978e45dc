import { assert } from '../base/assert.ts';
import type { Disk } from '../disk/disk.ts';
import { engineParametersOf } from './engine-settings.ts';
import { type ExpectedIdentity, identityFile, readIdentity, requireIdentity } from './identity.ts';
import type { ShardSettings } from './settings.ts';
import { damaged } from './shard-error.ts';
import { spaceProbeFile } from './space-probe.ts';
import { decideStart, type PublishedCheckpoint, type VolumeState } from './start-up.ts';
import { Store, type StoreDeps } from './store.ts';
import { createVolume, readVolume } from './volume.ts';

/** Opens or creates the files of a shard, as the start-up table says. What is refused was not changed. */
export async function openShardStore(
  deps: StoreDeps,
  settings: ShardSettings,
  published: PublishedCheckpoint | undefined,
): Promise<Store> {
  const { archive, shard, engine, trustVolume } = settings;
  const expected: ExpectedIdentity = { archive, shard, engine: engineParametersOf(engine) };
  const volume = await readVolume(deps.disk);
  await requireVolumeIdentity(deps, volume, expected);
  const action = decideStart(volume, published, { trustVolume });
  deps.logger.info({ found: volume.kind, action: action.kind }, 'shard-start');
  await removeProbe(deps.disk);
  if (action.kind === 'open') return Store.open(deps);
  return action.kind === 'create' ? createVolume(deps, expected) : createVolume(deps, expected, action.instance);
}

/** Refuses an empty directory that Redis knows a shard of, before the lock, which would be the first file in it. */
export async function refuseEmptyVolume(
  disk: Disk,
  settings: ShardSettings,
  published: PublishedCheckpoint | undefined,
): Promise<void> {
  if (published === undefined) return;
  // Whatever else is to be said about the volume is said under the lock.
  const volume = await readVolume(disk).catch(() => undefined);
  if (volume?.kind === 'empty') decideStart(volume, published, { trustVolume: settings.trustVolume });
}

/** The identity file must be the configured shard's, and of the same instance as the checkpoint. */
async function requireVolumeIdentity(deps: StoreDeps, volume: VolumeState, expected: ExpectedIdentity): Promise<void> {
  const identity = await readIdentity(deps.disk);
  if (identity !== undefined) requireIdentity(identity, expected);
  if (volume.kind !== 'whole') return;
  assert(identity !== undefined, 'a whole volume has an identity');
  if (identity.instance !== volume.instance) {
    throw damaged(identityFile, `instance ${identity.instance} found, the checkpoint is of ${volume.instance}`);
  }
}

/** A crash while the free space was tried can have left the file that was written for it. */
async function removeProbe(disk: Disk): Promise<void> {
  if ((await disk.stat(spaceProbeFile)) !== undefined) await disk.remove(spaceProbeFile);
}
