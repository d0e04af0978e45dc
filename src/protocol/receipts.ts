import { parseCursor } from './cursor-text.ts';
import {
  join,
  protocolVersion,
  readArray,
  readCount,
  readMessage,
  readObject,
  readOptionalWord,
  readString,
  refused,
} from './fields.ts';
import type { WireError } from './protocol-error.ts';
import { partBytes } from './reply.ts';
import { readOptionalWireError } from './wire-error.ts';

/**
 * What became of a record: `stored` as a new version; `unchanged`: this put had stored it before, or `skip-same` met
 * the same payload; `kept`: `keep` met an older version. In each case the cursor names the record that is on disk.
 */
export type PutOutcome = 'stored' | 'unchanged' | 'kept';

export const putOutcomes: readonly PutOutcome[] = ['stored', 'unchanged', 'kept'];

export interface ReceiptRecord {
  readonly cursor: string;
  readonly outcome: PutOutcome;
}

/** Proof that all records of a put are on disk; `records` are in the order of the job. */
export interface Stored {
  readonly id: string;
  readonly shard: number;
  /** Number of the commit that made them durable; it rises with each commit of the shard. */
  readonly commit: number;
  readonly records: readonly ReceiptRecord[];
}

/** The put was refused as a whole. */
export interface Refused {
  readonly id: string;
  readonly shard: number;
  readonly error: WireError;
}

export type Receipt = Stored | Refused;

export interface ReceiptsWire {
  readonly v: 1;
  readonly receipts: readonly Receipt[];
}

const receiptOverheadBytes = 256;
const recordBytes = 96;

/** Messages for one client: receipts in their order, each message up to about `partBytes`. */
export function* receiptMessages(receipts: readonly Receipt[]): Generator<ReceiptsWire> {
  let start = 0;
  let bytes = 0;
  for (const [index, receipt] of receipts.entries()) {
    const size = approximateBytes(receipt);
    if (index > start && bytes + size > partBytes) {
      yield encodeReceipts(receipts.slice(start, index));
      start = index;
      bytes = 0;
    }
    bytes += size;
  }
  if (start < receipts.length) yield encodeReceipts(receipts.slice(start));
}

export function encodeReceipts(receipts: readonly Receipt[]): ReceiptsWire {
  return { v: protocolVersion, receipts };
}

/** The receipts in a parsed message. Errors: ProtocolError. */
export function decodeReceipts(value: unknown): readonly Receipt[] {
  return readArray(readMessage(value), 'receipts', '').map(decodeReceipt);
}

function decodeReceipt(value: unknown, index: number): Receipt {
  const path = `receipts[${index}]`;
  const receipt = readObject(value, path);
  const id = readString(receipt, 'id', path);
  const shard = readCount(receipt, 'shard', path);
  const error = readOptionalWireError(receipt, path);
  if (error !== undefined) return { id, shard, error };
  const commit = readCount(receipt, 'commit', path);
  const at = join(path, 'records');
  const records = readArray(receipt, 'records', path).map((record, position) =>
    decodeRecord(record, `${at}[${position}]`),
  );
  return { id, shard, commit, records };
}

function decodeRecord(value: unknown, path: string): ReceiptRecord {
  const record = readObject(value, path);
  const outcome = readOptionalWord(record, 'outcome', path, putOutcomes);
  if (outcome === undefined) throw refused('missing-field', join(path, 'outcome'), 'missing');
  const cursor = readString(record, 'cursor', path);
  parseCursor(cursor, join(path, 'cursor'));
  return { cursor, outcome };
}

function approximateBytes(receipt: Receipt): number {
  return receiptOverheadBytes + ('records' in receipt ? receipt.records.length * recordBytes : 0);
}
