/**
 * The first half of recovery: proves, reading only, that the journals hold what a checkpoint covers.
 *
 * Sections below the checkpoint's are complete: no torn tail, and the last record ends where the value file ends. The
 * checkpoint's own section holds at least the committed bytes. Anything less is an error that repeats.
 */
import { inGroups } from '../base/in-groups.ts';
import { BlobError, corruption } from '../blob/blob-error.ts';
import { headerSize } from '../blob/header.ts';
import { physicalPageSize } from '../blob/page.ts';
import type { JournalEnd } from './journal-end.ts';
import { type JournalFiles, placeOfValue, withBlob } from './journal-files.ts';
import { readPayload } from './page-stream.ts';
import type { SectionBlobs } from './section-blobs.ts';
import { readPage } from './section-pages.ts';

export interface CommittedPlace {
  readonly section: number;
  readonly keyBytes: number;
}

/** Sections that are looked at together: one waits for the disk while another is worked on. */
const sectionsAtATime = 16;

/** Proves the sections below and at the place, and gives the end of the journals there. */
export async function verifyCommitted(
  files: JournalFiles,
  place: CommittedPlace,
  sealed: readonly JournalEnd[] | undefined,
): Promise<JournalEnd> {
  await verifySectionsPresent(files, place.section);
  const lines = sealed === undefined ? undefined : new Map(sealed.map((line) => [line.section, line]));
  const sections = Array.from({ length: place.section }, (_, section) => section);
  await inGroups(sections, sectionsAtATime, async (section) => {
    const end = await verifySealed(files, section);
    if (lines !== undefined) compareWithManifest(files, end, lines.get(section));
  });
  return endAt(files, place);
}

/** After a clean close: sizes only, and the end of the growing section. */
export async function verifyClean(
  files: JournalFiles,
  place: CommittedPlace,
  sealed: readonly JournalEnd[] | undefined,
): Promise<JournalEnd> {
  await verifySectionsPresent(files, place.section);
  await verifyNothingBeyond(files, place);
  const below = (sealed ?? []).filter(({ section }) => section < place.section);
  await inGroups(below, sectionsAtATime, (line) => verifySizes(files, line));
  const end = await endAt(files, place);
  const own = sealed?.find(({ section }) => section === place.section);
  if (own !== undefined && own.valueBytes !== end.valueBytes) {
    const path = files.values.path(place.section);
    throw sectionDamage(
      path,
      0,
      `values up to ${own.valueBytes}`,
      `a last record whose value ends at ${end.valueBytes}`,
    );
  }
  if (end.keyBytes > 0) await verifySizes(files, end);
  return end;
}

/** Both journals have exactly the sections 0 to below `section`, perhaps more from there on. */
async function verifySectionsPresent(files: JournalFiles, section: number): Promise<void> {
  for (const blobs of [files.keys, files.values]) {
    const below = (await blobs.list()).filter((found) => found < section);
    const gap = below.findIndex((found, index) => found !== index);
    const missing = gap === -1 ? below.length : gap;
    if (missing < section) throw missingFile(blobs, missing);
  }
}

/** A clean close leaves no section behind the checkpoint's. */
async function verifyNothingBeyond(files: JournalFiles, { section, keyBytes }: CommittedPlace): Promise<void> {
  const last = keyBytes > 0 ? section : section - 1;
  for (const blobs of [files.keys, files.values]) {
    const beyond = (await blobs.list()).find((found) => found > last);
    if (beyond !== undefined) throw sectionDamage(blobs.path(beyond), 0, 'no file behind the checkpoint', 'one');
  }
}

/** End of a section that was left for the next one, which is complete or corrupt. */
export async function verifySealed(files: Omit<JournalFiles, 'disk'>, section: number): Promise<JournalEnd> {
  const { pageSize, layout } = files;
  const valueBytes = await withBlob(files.values, section, async (blob) => blob.size);
  return withBlob(files.keys, section, async (blob) => {
    const physical = physicalPageSize(pageSize);
    const pageCount = blob.size / physical;
    if (!Number.isInteger(pageCount) || pageCount === 0) {
      throw sectionDamage(blob.path, blob.size, `whole pages of ${physical} bytes`, `${blob.size} bytes`);
    }
    const { checksum } = await readPage(blob, pageSize, pageCount - 1);
    const keyBytes = (pageCount - 1) * pageSize + checksum.size;
    if (keyBytes % layout.size !== 0) {
      throw sectionDamage(blob.path, blob.size, `records of ${layout.size} bytes`, `${keyBytes} bytes`);
    }
    const last = { section, position: keyBytes / layout.size - 1 };
    const value = placeOfValue(files, last, await readPayload(blob, pageSize, keyBytes - layout.size, layout.size), 0);
    if (value.offset + value.size !== valueBytes) {
      const file = files.values.path(section);
      throw sectionDamage(file, 0, `values up to ${value.offset + value.size}`, `${valueBytes} bytes`);
    }
    return { section, keyBytes, valueBytes };
  });
}

/** The end of the journals at a committed place of the growing section. */
async function endAt(files: JournalFiles, { section, keyBytes }: CommittedPlace): Promise<JournalEnd> {
  const { pageSize, layout } = files;
  if (keyBytes % layout.size !== 0) {
    throw sectionDamage(
      files.keys.path(section),
      0,
      `a multiple of the record size ${layout.size}`,
      `${keyBytes} committed bytes`,
    );
  }
  if (keyBytes === 0) return { section, keyBytes: 0, valueBytes: 0 };
  await verifyFileThere(files.keys, section);
  await verifyFileThere(files.values, section);
  const valueEnd = await withBlob(files.keys, section, async (blob) => {
    const pageCount = Math.ceil(keyBytes / pageSize);
    if (blob.size < pageCount * physicalPageSize(pageSize)) {
      throw sectionDamage(
        blob.path,
        blob.size,
        `${pageCount} pages of ${pageSize} bytes that the checkpoint covers`,
        `${blob.size} bytes`,
      );
    }
    const count = Math.min(2, keyBytes / layout.size);
    const last = await readPayload(blob, pageSize, keyBytes - count * layout.size, count * layout.size);
    const position = keyBytes / layout.size - 1;
    const value = placeOfValue(files, { section, position }, last, (count - 1) * layout.size);
    const before = placeOfValue(files, { section, position: position + 1 - count }, last, 0);
    const follows = count === 2 ? before.offset + before.size : 0;
    if (value.offset !== follows) {
      throw sectionDamage(blob.path, 0, `records of ${layout.size} bytes with values that follow each other`, 'others');
    }
    return value.offset + value.size;
  });
  const valueBytes = await withBlob(files.values, section, async (blob) => blob.size);
  if (valueBytes < valueEnd) {
    throw sectionDamage(
      files.values.path(section),
      valueBytes,
      `${valueEnd} bytes that the checkpoint covers`,
      `${valueBytes} bytes`,
    );
  }
  return { section, keyBytes, valueBytes: valueEnd };
}

async function verifyFileThere(blobs: SectionBlobs, section: number): Promise<void> {
  if ((await blobs.fileSize(section)) === undefined) throw missingFile(blobs, section);
}

async function verifySizes(files: JournalFiles, end: JournalEnd): Promise<void> {
  const pageCount = Math.ceil(end.keyBytes / files.pageSize);
  await verifySize(files.keys, end.section, headerSize + pageCount * physicalPageSize(files.pageSize));
  await verifySize(files.values, end.section, headerSize + end.valueBytes);
}

async function verifySize(blobs: SectionBlobs, section: number, expected: number): Promise<void> {
  const found = await blobs.fileSize(section);
  if (found === undefined) throw missingFile(blobs, section);
  if (found !== expected) throw sectionDamage(blobs.path(section), 0, `a file of ${expected} bytes`, `${found} bytes`);
}

function compareWithManifest(files: JournalFiles, end: JournalEnd, line: JournalEnd | undefined): void {
  const expected =
    line === undefined ? 'a line in the section manifest' : `${line.keyBytes} key and ${line.valueBytes} value bytes`;
  if (line?.keyBytes === end.keyBytes && line.valueBytes === end.valueBytes) return;
  throw sectionDamage(
    files.keys.path(end.section),
    0,
    expected,
    `${end.keyBytes} key and ${end.valueBytes} value bytes`,
  );
}

function missingFile(blobs: SectionBlobs, section: number): BlobError {
  return sectionDamage(blobs.path(section), 0, 'a file of the store', 'none');
}

function sectionDamage(file: string, offset: number, expected: string, found: string): BlobError {
  return corruption('section', { file, offset, expected, found });
}

export interface ValueRange {
  readonly offset: number;
  readonly size: number;
}

/** The values that the last committed records of the growing section name, newest first; unreadable records left out. */
export async function lastValues(files: JournalFiles, end: JournalEnd, countMax: number): Promise<ValueRange[]> {
  const { pageSize, layout } = files;
  const count = end.keyBytes / layout.size;
  const values: ValueRange[] = [];
  if (count === 0) return values;
  await withBlob(files.keys, end.section, async (blob) => {
    for (let position = count - 1; position >= Math.max(0, count - countMax); position--) {
      try {
        const bytes = await readPayload(blob, pageSize, position * layout.size, layout.size);
        values.push(placeOfValue(files, { section: end.section, position }, bytes, 0));
      } catch (error) {
        if (!(error instanceof BlobError)) throw error;
      }
    }
  });
  return values;
}
