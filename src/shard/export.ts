/**
 * Gives every record of a shard that nobody runs, in the order of the archive, each checked against its checksums.
 *
 * The shard is opened as a worker opens it, so a shutdown that was cut short is recovered first and the end is the same
 * one that lookups see; then its files are only read, and it is left cleanly closed. What cannot be read is told in its
 * place and does not stop the rest.
 */
import type { Cursor } from '../freezer/cursor.ts';
import type { StoredRecord } from '../freezer/records.ts';
import { type Loss, salvage } from '../freezer/salvage.ts';
import { archiveKey, freezerSettingsOf, sectionFiles } from './engine-settings.ts';
import type { Envelope } from './envelope.ts';
import { lossText } from './loss-text.ts';
import { openShardStore } from './open-shard.ts';
import type { OwnerLock } from './owner-lock.ts';
import type { ShardSettings } from './settings.ts';
import { ShardError } from './shard-error.ts';
import type { Store, StoreDeps } from './store.ts';
import { readVolume } from './volume.ts';

export interface ExportDeps extends Omit<StoreDeps, 'engine'> {
  readonly lock: OwnerLock;
}

/** What is there to export, told before the first record. */
export interface ExportStart {
  readonly kind: 'start';
  readonly instance: string;
  /** All versions of all keys. */
  readonly recordCount: number;
}

export type ExportStep =
  | ExportStart
  | {
      readonly kind: 'record';
      readonly envelope: Envelope;
      readonly cursor: Cursor;
      /** Its place in the order of the shard: section, and number in it. */
      readonly place: ExportPlace;
    }
  | { readonly kind: 'lost'; readonly reason: string };

export interface ExportPlace {
  readonly section: number;
  readonly position: number;
}

/**
 * Every record, or why it cannot be had. Rejects when the directory is another process's, or the shard cannot be opened.
 */
export async function* exportShard(deps: ExportDeps, settings: ShardSettings): AsyncGenerator<ExportStep> {
  const volume = await readVolume(deps.disk);
  if (volume.kind === 'empty' || volume.kind === 'unfinished')
    throw new ShardError('checkpoint-missing', `there is no shard in the directory (${volume.kind})`);
  const held = await deps.lock.acquire();
  try {
    const store = await openShardStore({ ...deps, engine: settings.engine }, settings, undefined);
    try {
      yield* stepsOf(deps, settings, store);
      await store.sync({ clean: true });
    } finally {
      await store.release();
    }
  } finally {
    held.release();
  }
}

async function* stepsOf(deps: ExportDeps, settings: ShardSettings, store: Store): AsyncGenerator<ExportStep> {
  const { recordCount } = store;
  yield { kind: 'start', instance: store.saved.instance, recordCount };
  const tails: Loss[] = [];
  let readCount = 0;
  for await (const found of salvage(deps.disk, freezerSettingsOf(settings.engine))) {
    if (found.kind === 'record') {
      readCount++;
      yield stepOf(found.record);
    } else if (found.loss.isTail === true) tails.push(found.loss);
    else yield { kind: 'lost', reason: lossText(found.loss) };
  }
  // What a crash has torn, and recovery found not to count, may lie behind the end.
  if (readCount === recordCount) return;
  for (const loss of tails) yield { kind: 'lost', reason: lossText(loss) };
  yield { kind: 'lost', reason: `${recordCount} records are in the key index, ${readCount} could be read` };
}

function stepOf({ key, value, cursor, position }: StoredRecord<Envelope>): ExportStep {
  const { section } = position;
  const place = { section, position: position.position };
  if (archiveKey(value.key).equals(key)) return { kind: 'record', envelope: value, cursor, place };
  const { keys } = sectionFiles(section);
  return { kind: 'lost', reason: `${keys} record ${place.position}: it is filed under another key than its own` };
}
