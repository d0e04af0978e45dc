/** Both journals with records of an id and a value that belongs to it, and their recovery in the order of the engine. */
import { readU64, u32Size, u64Size, writeU64 } from '../../src/codec/integer.ts';
import type { Disk } from '../../src/disk/disk.ts';
import { cut, settle } from '../../src/journal/cut.ts';
import { type JournalEnd, journalStart } from '../../src/journal/journal-end.ts';
import { closeJournalFiles, journalFiles, type RecordLayout } from '../../src/journal/journal-files.ts';
import { Oversized } from '../../src/journal/oversized.ts';
import { readTail } from '../../src/journal/roll-forward.ts';
import { verifyCommitted } from '../../src/journal/verify-committed.ts';

const offsetAt = u64Size;
const sizeAt = offsetAt + u64Size;

export const pairLayout: RecordLayout = {
  size: sizeAt + u32Size,
  valueOf: (bytes, at) => ({ offset: readU64(bytes, at + offsetAt), size: bytes.readUInt32BE(at + sizeAt) }),
};

/** Data bytes of every value; its frame has four more. */
export const valueSize = 16;
export const frameSize = valueSize + 4;

export interface RecoverOptions {
  readonly pageSize?: number;
  /** Where the journals are durable for certain. */
  readonly from?: JournalEnd;
  readonly mark?: JournalEnd;
  readonly sealed?: readonly JournalEnd[];
  /** Cut exactly at `from`. */
  readonly exactly?: boolean;
}

export class PairStore {
  readonly oversized: Oversized;

  private constructor(oversized: Oversized) {
    this.oversized = oversized;
  }

  static async create(disk: Disk, pageSize = 64): Promise<PairStore> {
    const store = new PairStore(openOversized(disk, pageSize));
    await store.oversized.openAt(journalStart);
    return store;
  }

  /** Opens what a crash has left: verifies, reads behind `from`, makes that durable, cuts what lies beyond. */
  static async recover(disk: Disk, options: RecoverOptions = {}): Promise<PairStore> {
    const { pageSize = 64, from = journalStart, mark, sealed, exactly = false } = options;
    const files = journalFiles(disk, { keyPartition: 'key', valuePartition: 'value', pageSize }, pairLayout);
    try {
      const committed = await verifyCommitted(files, from, sealed);
      const tail = exactly ? { end: committed } : await readTail(files, committed, mark);
      await settle(files, committed, tail.end);
      await cut(files, tail.end);
      const store = new PairStore(openOversized(disk, pageSize));
      await store.oversized.openAt(tail.end);
      return store;
    } finally {
      await closeJournalFiles(files);
    }
  }

  get end(): JournalEnd {
    return this.oversized.end;
  }

  /** Appends pairs and gives their positions. */
  async append(...ids: readonly number[]): Promise<number[]> {
    await this.oversized.ensureFiles();
    return ids.map((id) => {
      const frame = this.oversized.values.reserve(valueSize);
      frame.into.fill(id, frame.at, frame.at + valueSize);
      const value = this.oversized.values.seal(valueSize);
      const { into, at, position } = this.oversized.reserveRecord();
      writeU64(into, id, at);
      writeU64(into, value.offset, at + offsetAt);
      into.writeUInt32BE(value.size, at + sizeAt);
      return position;
    });
  }

  /** Makes all pairs durable, and gives their end. */
  async commit(): Promise<JournalEnd> {
    const staged = this.oversized.stage();
    if (staged !== undefined) await this.oversized.persist(staged);
    return this.end;
  }

  async rollover(): Promise<void> {
    await this.commit();
    await this.oversized.startNextSection();
  }

  /** Ids of the records of a section, each with its value read and compared. */
  async ids(section: number): Promise<number[]> {
    const { keys, values, end } = this.oversized;
    const bytes = section === end.section ? end.keyBytes : await keys.sealedSize(section);
    const ids: number[] = [];
    for (let position = 0; position < bytes / pairLayout.size; position++) {
      const record = await keys.read({ section, position });
      const id = readU64(record, 0);
      const [value] = await values.readMany([{ section, ...pairLayout.valueOf(record, 0) }]);
      if (value instanceof Error) throw value;
      if (value?.every((byte) => byte === id) !== true) throw new Error(`value of ${id} is another one`);
      ids.push(id);
    }
    return ids;
  }

  close(): Promise<void> {
    return this.oversized.close();
  }
}

function openOversized(disk: Disk, pageSize: number): Oversized {
  return new Oversized(disk, {
    keyPartition: 'key',
    valuePartition: 'value',
    pageSize,
    cachePages: 8,
    recordSize: pairLayout.size,
    readLink: () => false,
    keyWriteBuffer: 1024,
    valueWriteBuffer: 1024,
  });
}
