import type { RecordWire } from '../protocol/put-job.ts';
import type { PutOutcome } from '../protocol/receipts.ts';

/** Where a record is on disk. */
export interface RecordReceipt {
  readonly key: string;
  /** For `lookup({ cursor })`: reads the record without the index. */
  readonly cursor: string;
  readonly outcome: PutOutcome;
}

/** Records of one shard, and how they are to be put. */
export interface PutPart {
  readonly id: string;
  readonly shard: number;
  readonly records: readonly RecordWire[];
  /** Place of each record in the put. Default: these are all of it. */
  readonly places?: readonly number[];
}
