/**
 * Copies what is readable of a damaged shard into a new one.
 *
 * The old directory is locked and only read. A record is copied when checksums vouch for all of it and the key in its
 * value is the one that it is filed under; nothing is guessed, and every loss is named. Put ids and times of archival
 * are kept, so puts that are sent again are still recognised. The copy has an instance id of its own: Redis, which knows
 * the old one, is overruled with `--trust-volume`.
 */
import { headerSize } from '../blob/header.ts';
import type { Disk } from '../disk/disk.ts';
import { isBefore } from '../freezer/key-record.ts';
import type { StoredRecord } from '../freezer/records.ts';
import type { Loss } from '../freezer/salvage.ts';
import { salvage } from '../freezer/salvage.ts';
import {
  archiveKey,
  type EngineSettings,
  engineParametersOf,
  freezerSettingsOf,
  sectionFiles,
  withParameters,
} from './engine-settings.ts';
import type { Envelope } from './envelope.ts';
import { describeSize, type SizeDamage, sectionSizeDamage, witnessedRecordCount } from './file-check.ts';
import { readIdentity } from './identity.ts';
import type { OwnerLock } from './owner-lock.ts';
import type { ShardSettings } from './settings.ts';
import { ShardError } from './shard-error.ts';
import type { Store, StoreDeps } from './store.ts';
import { markFinished, markUnfinished } from './unfinished-salvage.ts';
import { createVolume, readVolume } from './volume.ts';

export interface SalvageSource {
  readonly disk: Disk;
  readonly lock: OwnerLock;
}

export interface SalvageTarget extends Omit<StoreDeps, 'engine'> {
  readonly lock: OwnerLock;
}

export interface SalvageReport {
  readonly recordCount: number;
  readonly lossCount: number;
  /** Instance id of the copy. */
  readonly instance: string;
}

/** Records that are appended together. */
const batchCount = 256;
/** Bytes of payload between two commits. */
const commitBytes = 8 * 1024 * 1024;

/** Copies; each loss is told as it is met. The target directory must be empty (`volume-foreign` otherwise). */
export async function salvageShard(
  source: SalvageSource,
  target: SalvageTarget,
  settings: ShardSettings,
  onLoss: (loss: Loss) => void,
): Promise<SalvageReport> {
  const heldSource = await source.lock.acquire();
  try {
    const heldTarget = await target.lock.acquire();
    try {
      return await copy(source.disk, target, settings, onLoss);
    } finally {
      heldTarget.release();
    }
  } finally {
    heldSource.release();
  }
}

async function copy(
  from: Disk,
  target: SalvageTarget,
  settings: ShardSettings,
  onLoss: (loss: Loss) => void,
): Promise<SalvageReport> {
  const volume = await readVolume(target.disk);
  if (volume.kind !== 'empty') {
    throw new ShardError('volume-foreign', `the target directory must be empty, found a shard (${volume.kind})`);
  }
  const engine = await formatOf(from, settings.engine);
  const { archive, shard } = settings;
  await markUnfinished(target.disk);
  const store = await createVolume({ ...target, engine }, { archive, shard, engine: engineParametersOf(engine) });
  try {
    const copier = new Copier(store);
    const expected = await witnessedRecordCount(from);
    let lossCount = 0;
    const lose = (loss: Loss): void => {
      lossCount++;
      onLoss(loss);
    };
    for (const damage of await sectionSizeDamage(from, engine.pageSize)) lose(sizeLoss(damage));
    for await (const found of salvage(from, freezerSettingsOf(engine))) {
      const loss = found.kind === 'lost' ? found.loss : lossOf(found.record);
      if (loss !== undefined) lose(loss);
      else if (found.kind === 'record') await copier.add(found.record);
      target.progress?.(copier.recordCount, Math.max(expected, copier.recordCount), 'records');
    }
    await copier.appendBatch();
    await store.sync({ clean: true });
    await markFinished(target.disk);
    return { recordCount: copier.recordCount, lossCount, instance: store.saved.instance };
  } finally {
    await store.release();
  }
}

/** The parts of the format that the source's identity knows better than the configuration, if it can be read. */
async function formatOf(disk: Disk, engine: EngineSettings): Promise<EngineSettings> {
  const identity = await readIdentity(disk).catch(() => undefined);
  return identity === undefined ? engine : withParameters(engine, identity.engine);
}

function lossOf({ key, value, position, cursor, next }: StoredRecord<Envelope>): Loss | undefined {
  const { section } = position;
  const place = { section, file: sectionFiles(section).values, offset: headerSize + cursor.offset };
  if (!archiveKey(value.key).equals(key))
    return {
      ...place,
      position: position.position,
      reason: 'the key in its value is not the key that it is filed under',
    };
  if (next === undefined || isBefore(next, position)) return undefined;
  const reason = `its chain goes on to ${next.section}/${next.position}: it was written at another place`;
  return { ...place, position: position.position, reason };
}

/** The file is not the one that the shard's own files speak of. What is readable in it is copied all the same. */
function sizeLoss(damage: SizeDamage): Loss {
  return { section: damage.section, file: damage.path, offset: 0, reason: describeSize(damage) };
}

class Copier {
  readonly #store: Store;
  #batch: { readonly key: Buffer; readonly value: Envelope }[] = [];
  #bytes = 0;
  #sinceSync = 0;
  recordCount = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  async add({ key, value }: StoredRecord<Envelope>): Promise<void> {
    this.#batch.push({ key, value });
    this.#bytes += value.payload.length;
    this.recordCount++;
    if (this.#batch.length >= batchCount || this.#bytes >= commitBytes) await this.appendBatch();
  }

  async appendBatch(): Promise<void> {
    const { freezer } = this.#store;
    await freezer.putMany(this.#batch);
    this.#sinceSync += this.#batch.length;
    this.#batch = [];
    this.#bytes = 0;
    await this.#store.commit();
    if (this.#sinceSync <= freezer.tableSize / 2) return;
    await this.#store.sync({ clean: false });
    this.#sinceSync = 0;
  }
}
