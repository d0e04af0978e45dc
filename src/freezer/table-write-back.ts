/**
 * The ordered pass that brings changed buckets to the table file.
 *
 * Where many buckets of a stretch of the file changed, the stretch is read, patched and written whole; elsewhere
 * buckets are read and written one by one. Bytes that did not change are written as they are, which no tear can harm.
 */
import { present } from '../base/assert.ts';
import type { Blob } from '../blob/blob.ts';
import type { DiskWrite } from '../disk/disk.ts';
import { bucketSize } from './table-entry.ts';

/** The changed buckets of one stretch of the file, ascending. */
type Window = Uint32Array;

/** A piece of the file, and the buckets of it that changed. */
interface Piece {
  readonly offset: number;
  readonly into: Buffer;
  readonly buckets: Uint32Array;
}

/** Makes of a bucket, as it is in the file, what it is to be. Both halves of a resize are given their bucket's number. */
export type PatchBucket = (bytes: Buffer, at: number, bucket: number) => void;

const windowBucketCount = 1024;
/** Changed buckets of a window from which on it is written whole. */
const denseCount = 8;
/** Windows that are read and written together. */
const groupCount = 16;

/** Buckets of the file that are to be written, ascending: those below `mirrored` have a twin in the new half. */
export function orderedBuckets(changed: Uint32Array, mirrored: number, tableSize: number): Uint32Array {
  const twins = mirrored === 0 ? [] : changed.filter((bucket) => bucket < mirrored).map((bucket) => bucket + tableSize);
  const order = new Uint32Array(changed.length + twins.length);
  order.set(changed);
  order.set(twins, changed.length);
  return isAscending(order) ? order : order.sort();
}

function isAscending(numbers: Uint32Array): boolean {
  for (let at = 1; at < numbers.length; at++) if ((numbers[at - 1] ?? 0) > (numbers[at] ?? 0)) return false;
  return true;
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

/** Bytes that the pieces of any group take. */
export const groupBytesMax = groupCount * windowBucketCount * bucketSize;

/**
 * The writes of a group: whole stretches where they are dense, buckets where they are not. They lie in `memory`, which has
 * `groupBytesMax` or the size of the file, and is good for the next group when they are done.
 */
export async function windowWrites(
  blob: Blob,
  patch: PatchBucket,
  tableSize: number,
  group: readonly Window[],
  memory: Buffer,
): Promise<readonly DiskWrite[]> {
  let used = 0;
  const pieces = group
    .flatMap((window) => piecesOf(window, blob.size))
    .map(({ offset, size, buckets }): Piece => {
      const into = memory.subarray(used, used + size);
      used += size;
      return { offset, into, buckets };
    });
  await blob.readMany(pieces);
  return pieces.map(({ offset, into, buckets }) => {
    for (const bucket of buckets)
      patch(into, bucket * bucketSize - offset, bucket < tableSize ? bucket : bucket - tableSize);
    return { offset, bytes: into };
  });
}

/** Where the pieces of a window lie in a file of so many bytes. */
function piecesOf(
  window: Window,
  fileSize: number,
): readonly { readonly offset: number; readonly size: number; readonly buckets: Uint32Array }[] {
  if (window.length < denseCount) {
    return Array.from(window, (bucket, index) => ({
      offset: bucket * bucketSize,
      size: bucketSize,
      buckets: window.subarray(index, index + 1),
    }));
  }
  const offset = windowNumber(present(window[0], 'a bucket')) * windowBucketCount * bucketSize;
  return [{ offset, size: Math.min(windowBucketCount * bucketSize, fileSize - offset), buckets: window }];
}

function windowNumber(bucket: number): number {
  return Math.floor(bucket / windowBucketCount);
}
