import type { JournalEnd } from '../journal/journal-end.ts';
import type { Oversized } from '../journal/oversized.ts';
import { verifySealed } from '../journal/verify-committed.ts';
import { recordLayout } from './key-record.ts';

/**
 * Records of a section, up to `end` in the growing one. A sealed section is held against its values: a last page that
 * falls back to an older checksum would otherwise seem to end early, and its records not to exist.
 */
export async function recordCount(
  oversized: Oversized,
  keySize: number,
  section: number,
  end: JournalEnd,
): Promise<number> {
  const layout = recordLayout(keySize);
  if (section === end.section) return end.keyBytes / layout.size;
  const files = { keys: oversized.keys.blobs, values: oversized.values.blobs, pageSize: oversized.pageSize, layout };
  return (await verifySealed(files, section)).keyBytes / layout.size;
}
