import type { Oversized } from '../journal/oversized.ts';
import type { Cursor } from './cursor.ts';
import { readRecord } from './key-record.ts';
import { recordCount } from './section-size.ts';

/**
 * The key of the record whose value lies exactly where the cursor says, by halving: values lie in the order of their
 * records. `undefined` when there is none; a record on the way that cannot be read is thrown.
 */
export async function findKey(oversized: Oversized, keySize: number, cursor: Cursor): Promise<Buffer | undefined> {
  const { section } = cursor;
  const { end } = oversized;
  if (section > end.section) return undefined;
  let low = 0;
  let high = await recordCount(oversized, keySize, section, end);
  while (low < high) {
    const position = Math.floor((low + high) / 2);
    const [bytes] = await oversized.keys.readMany([{ section, position }]);
    if (bytes === undefined || bytes instanceof Error) throw bytes;
    const { key, valueOffset, valueSize } = readRecord(bytes, 0, keySize);
    if (valueOffset === cursor.offset) return valueSize === cursor.size ? key : undefined;
    if (valueOffset < cursor.offset) low = position + 1;
    else high = position;
  }
  return undefined;
}
