import type { JournalEnd } from '../journal/journal-end.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { HeadDigests } from './head-digests.ts';

/**
 * How a freezer is opened. Nothing is guessed: data without a checkpoint is refused.
 *
 * - `create`: the partitions hold nothing; a new store begins.
 * - `checkpoint`: exactly at the checkpoint; what lies beyond it is cut. The behaviour of the original.
 * - `roll-forward`: at the checkpoint, and then every whole record beyond it. What lies at or below `mark` must be
 *   there; only what lies beyond it may be cut.
 * - `clean`: after a clean close with this checkpoint and table state: no scan, a stat a section.
 */
export type FreezerStart =
  | { readonly kind: 'create' }
  | { readonly kind: 'checkpoint'; readonly checkpoint: Checkpoint }
  | {
      readonly kind: 'roll-forward';
      readonly checkpoint: Checkpoint;
      readonly mark?: JournalEnd | undefined;
      /** What was saved beside the checkpoint; without it a table that lost heads is believed. */
      readonly table?: Pick<TableState, 'initialSize' | 'digests'> | undefined;
      readonly sealed?: readonly JournalEnd[] | undefined;
    }
  | {
      readonly kind: 'clean';
      readonly checkpoint: Checkpoint;
      readonly table: TableState;
      /** End of every section below the checkpoint's, if recorded, and of the checkpoint's own. */
      readonly sealed?: readonly JournalEnd[] | undefined;
    };

/** What the checkpoint does not say about the table, saved beside it. */
export interface TableState {
  /** Buckets of the running resize that are done; undefined when none runs. */
  readonly resizeProgress: number | undefined;
  /** Buckets that reached the resize frequency. */
  readonly resizable: number;
  /** Buckets that the table began with: the hashes of all keys of a chain agree modulo this. 1 when it is not known. */
  readonly initialSize: number;
  /** By which a bucket that lost its head is told from an empty one; undefined when nobody kept them. */
  readonly digests: HeadDigests | undefined;
}
