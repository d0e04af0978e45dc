/**
 * The ordered pass that brings changed buckets to the table file.
 *
 * Where many buckets of a stretch of the file changed, the stretch is read, patched and written whole; elsewhere
 * buckets are written one by one. Bytes that did not change are written as they are, which no tear can harm.
 */
import { present } from '../base/assert.ts';
import type { Blob } from '../blob/blob.ts';
import type { DiskWrite } from '../disk/disk.ts';
import type { ChangedBuckets } from './changed-buckets.ts';
import { bucketSize } from './table-entry.ts';

/** The changed buckets of one stretch of the file, ascending. */
type Window = Uint32Array;

const windowBucketCount = 1024;
/** Changed buckets of a window from which on it is written whole. */
const denseCount = 8;
/** Windows that are read and written together. */
const groupCount = 16;

/** Buckets of the file that are to be written, ascending: those below `mirrored` have a twin in the new half. */
export function orderedBuckets(changed: ChangedBuckets, mirrored: number, tableSize: number): Uint32Array {
  const { buckets } = changed;
  const twins = mirrored === 0 ? [] : buckets.filter((bucket) => bucket < mirrored).map((bucket) => bucket + tableSize);
  const order = new Uint32Array(buckets.length + twins.length);
  order.set(buckets);
  order.set(twins, buckets.length);
  return order.sort();
}

/** Groups of windows. */
export function* windowsOf(order: Uint32Array): Generator<readonly Window[]> {
  let group: Window[] = [];
  let start = 0;
  for (let end = 1; end <= order.length; end++) {
    if (end < order.length && windowNumber(order[end] ?? 0) === windowNumber(order[start] ?? 0)) continue;
    group.push(order.subarray(start, end));
    start = end;
    if (group.length < groupCount) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

/** The writes of a group: whole stretches where they are dense, buckets where they are not. */
export async function windowWrites(
  blob: Blob,
  changed: ChangedBuckets,
  tableSize: number,
  group: readonly Window[],
): Promise<readonly DiskWrite[]> {
  const offsetOf = (bucket: number): number =>
    present(changed.offsetOf(bucket < tableSize ? bucket : bucket - tableSize), 'a changed bucket');
  const stretches = group.filter((window) => window.length >= denseCount).map((window) => stretchOf(blob, window));
  await blob.readMany(stretches);
  for (const { offset, into, window } of stretches) {
    for (const bucket of window) {
      const from = offsetOf(bucket);
      changed.bytes.copy(into, bucket * bucketSize - offset, from, from + bucketSize);
    }
  }
  const writes: DiskWrite[] = stretches.map(({ offset, into }) => ({ offset, bytes: into }));
  for (const window of group) {
    if (window.length >= denseCount) continue;
    for (const bucket of window) {
      const from = offsetOf(bucket);
      writes.push({ offset: bucket * bucketSize, bytes: changed.bytes.subarray(from, from + bucketSize) });
    }
  }
  return writes;
}

function stretchOf(
  blob: Blob,
  window: Window,
): { readonly offset: number; readonly into: Buffer; readonly window: Window } {
  const offset = windowNumber(present(window[0], 'a bucket')) * windowBucketCount * bucketSize;
  return { offset, into: Buffer.allocUnsafe(Math.min(windowBucketCount * bucketSize, blob.size - offset)), window };
}

function windowNumber(bucket: number): number {
  return Math.floor(bucket / windowBucketCount);
}
