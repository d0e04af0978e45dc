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

/** Where a changed bucket goes, and where it is in the buffer of changes. */
export interface PlacedBucket {
  readonly bucket: number;
  readonly offset: number;
}

type Window = readonly PlacedBucket[];

const windowBucketCount = 1024;
/** Changed buckets of a window from which on it is written whole. */
const denseCount = 8;
/** Windows that are read and written together. */
const groupCount = 16;

/** Changed buckets in the order of the file; those below `mirrored` appear in both halves. */
export function orderedBuckets(changed: ChangedBuckets, mirrored: number, tableSize: number): readonly PlacedBucket[] {
  const placed: PlacedBucket[] = [];
  for (const [bucket, offset] of changed.entries()) {
    placed.push({ bucket, offset });
    if (bucket < mirrored) placed.push({ bucket: bucket + tableSize, offset });
  }
  return placed.sort((left, right) => left.bucket - right.bucket);
}

/** Groups of windows, each the changed buckets of one stretch of the file. */
export function* windowsOf(order: readonly PlacedBucket[]): Generator<readonly Window[]> {
  let group: Window[] = [];
  let window: PlacedBucket[] = [];
  for (const placed of order) {
    const first = window[0];
    if (first !== undefined && windowNumber(first) !== windowNumber(placed)) {
      group.push(window);
      window = [];
      if (group.length === groupCount) {
        yield group;
        group = [];
      }
    }
    window.push(placed);
  }
  if (window.length > 0) group.push(window);
  if (group.length > 0) yield group;
}

/** The writes of a group: whole stretches where they are dense, buckets where they are not. */
export async function windowWrites(
  blob: Blob,
  changes: Buffer,
  group: readonly Window[],
): Promise<readonly DiskWrite[]> {
  const dense = group.filter((window) => window.length >= denseCount);
  const stretches = dense.map((window) => {
    const offset = windowNumber(present(window[0], 'a bucket')) * windowBucketCount * bucketSize;
    const into = Buffer.allocUnsafe(Math.min(windowBucketCount * bucketSize, blob.size - offset));
    return { offset, into, window };
  });
  await blob.readMany(stretches);
  for (const { offset, into, window } of stretches) {
    for (const placed of window)
      changes.copy(into, placed.bucket * bucketSize - offset, placed.offset, placed.offset + bucketSize);
  }
  const sparse = group.filter((window) => window.length < denseCount).flat();
  return [
    ...stretches.map(({ offset, into }) => ({ offset, bytes: into })),
    ...sparse.map(({ bucket, offset }) => ({
      offset: bucket * bucketSize,
      bytes: changes.subarray(offset, offset + bucketSize),
    })),
  ];
}

function windowNumber(placed: PlacedBucket): number {
  return Math.floor(placed.bucket / windowBucketCount);
}
