import { encodeCheckpoint } from '../freezer/checkpoint.ts';
import { recordSize } from '../freezer/key-record.ts';
import type { JournalEnd } from '../journal/journal-end.ts';
import type { SavedCheckpoint } from './checkpoint-file.ts';
import { archiveKeySize } from './engine-settings.ts';
import type { Store } from './store.ts';

/** A durable checkpoint, as the shard tells about it. */
export interface ShardCheckpoint {
  readonly instance: string;
  readonly epoch: number;
  /** The 28 bytes of the checkpoint. */
  readonly checkpoint: Buffer;
  /** Number of the last commit that it covers. */
  readonly commit: number;
  /** Records of the shard at the checkpoint, all versions. */
  readonly records: number;
  /** Wall clock of the sync, in milliseconds. */
  readonly time: number;
}

export function describeCheckpoint(store: Store): ShardCheckpoint {
  const { checkpoint, instance, savedAtMs } = store.saved;
  return {
    instance,
    epoch: checkpoint.epoch,
    checkpoint: encodeCheckpoint(checkpoint),
    commit: store.commitNumber,
    records: recordCountOf(store.saved, store.sealed),
    time: savedAtMs,
  };
}

/** Records of a shard at a checkpoint, all versions. */
export function recordCountOf({ checkpoint }: SavedCheckpoint, sealed: readonly JournalEnd[]): number {
  const below = sealed.filter(({ section }) => section < checkpoint.section);
  const keyBytes = below.reduce((sum, end) => sum + end.keyBytes, checkpoint.keyBytes);
  return keyBytes / recordSize(archiveKeySize);
}
