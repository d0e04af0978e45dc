import type { Cursor } from '../../src/freezer/cursor.ts';

/** Negative when the left one was appended before the right one. */
export function compareCursors(left: Cursor, right: Cursor): number {
  return left.section - right.section || left.offset - right.offset;
}
