/**
 * A caller of the freezer for crash tests: keeps checkpoint and commit mark in files of their own, one new file each
 * time, and opens the store from the newest that is whole.
 *
 * What is readable at opening is made durable before anything is built on it.
 */
import { crc32c } from '../../src/codec/crc32c.ts';
import { writeU64 } from '../../src/codec/integer.ts';
import type { Disk } from '../../src/disk/disk.ts';
import { type Checkpoint, checkpointSize, decodeCheckpoint, encodeCheckpoint } from '../../src/freezer/checkpoint.ts';
import { Freezer, type SaveCheckpoint, type SaveMark } from '../../src/freezer/freezer.ts';
import type { FreezerHooks } from '../../src/freezer/hooks.ts';
import type { FreezerSettings } from '../../src/freezer/settings.ts';
import { bytesCodec } from '../../src/freezer/value-codec.ts';
import { type JournalEnd, journalStart } from '../../src/journal/journal-end.ts';

const directory = 'saved';
const markSize = 24;

export const smallSettings: FreezerSettings<Uint8Array> = {
  keyPartition: 'key',
  valuePartition: 'value',
  tablePartition: 'table',
  keySize: 8,
  keyPageCache: { pageSize: 64, pages: 4 },
  valueCodec: bytesCodec,
  keyWriteBuffer: 128,
  valueWriteBuffer: 256,
  valueTargetSize: 160,
  tableInitialSize: 2,
  tableResizeFrequency: 2,
  tableResizeChunkSize: 2,
  tableReplayBuffer: 256,
  tableChangesMax: 1024,
};

export class Keeper {
  readonly #disk: Disk;
  #number = 0;

  private constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** The keeper of a disk, and the store that it finds or makes there. */
  static async open(
    disk: Disk,
    settings = smallSettings,
    hooks: FreezerHooks = {},
  ): Promise<{ readonly keeper: Keeper; readonly freezer: Freezer<Uint8Array> }> {
    const keeper = new Keeper(disk);
    await disk.makeDirectory(directory);
    await disk.syncDirectory('');
    const saved = await keeper.#newest('checkpoint', checkpointSize);
    if (saved === undefined) {
      const freezer = await Freezer.open(disk, settings, { kind: 'create' }, hooks);
      await freezer.sync(keeper.saveCheckpoint);
      return { keeper, freezer };
    }
    const checkpoint = decodeCheckpoint(saved);
    const mark = await keeper.#newest('mark', markSize);
    const freezer = await Freezer.open(
      disk,
      settings,
      {
        kind: 'roll-forward',
        checkpoint,
        mark: mark === undefined ? journalStart : readMark(mark),
      },
      hooks,
    );
    return { keeper, freezer };
  }

  /** The newest checkpoint that a keeper saved on the disk, if any. */
  static async checkpointOn(disk: Disk): Promise<Checkpoint | undefined> {
    const saved = await new Keeper(disk).#newest('checkpoint', checkpointSize);
    return saved === undefined ? undefined : decodeCheckpoint(saved);
  }

  readonly saveCheckpoint: SaveCheckpoint = (checkpoint: Checkpoint) =>
    this.#save('checkpoint', encodeCheckpoint(checkpoint));

  readonly saveMark: SaveMark = (previous: JournalEnd) => {
    const bytes = Buffer.alloc(markSize);
    writeU64(bytes, previous.section, 0);
    writeU64(bytes, previous.keyBytes, 8);
    writeU64(bytes, previous.valueBytes, 16);
    return this.#save('mark', bytes);
  };

  async #save(kind: string, payload: Buffer): Promise<void> {
    const path = `${directory}/${kind}-${String(++this.#number).padStart(6, '0')}`;
    const crc = Buffer.alloc(4);
    crc.writeUInt32BE(crc32c(payload));
    const file = await this.#disk.open(path, { create: true });
    await file.truncate(0);
    await file.write(0, Buffer.concat([payload, crc]));
    await file.sync();
    await file.close();
    await this.#disk.syncDirectory(directory);
  }

  /** The newest whole file of a kind, made durable again. */
  async #newest(kind: string, size: number): Promise<Buffer | undefined> {
    const names = ((await this.#disk.list(directory)) ?? []).filter((name) => name.startsWith(`${kind}-`)).sort();
    for (const name of ((await this.#disk.list(directory)) ?? []).values()) {
      this.#number = Math.max(this.#number, Number(name.slice(name.indexOf('-') + 1)));
    }
    for (const name of names.reverse()) {
      const payload = await this.#take(`${directory}/${name}`, size);
      if (payload === undefined) continue;
      await this.#disk.syncDirectory(directory);
      return payload;
    }
    return undefined;
  }

  async #take(path: string, size: number): Promise<Buffer | undefined> {
    const file = await this.#disk.open(path, { create: false });
    try {
      if ((await file.size()) !== size + 4) return undefined;
      const bytes = Buffer.alloc(size + 4);
      await file.read(0, bytes);
      if (crc32c(bytes.subarray(0, size)) !== bytes.readUInt32BE(size)) return undefined;
      await file.write(0, bytes);
      await file.sync();
      return bytes.subarray(0, size);
    } finally {
      await file.close();
    }
  }
}

function readMark(bytes: Buffer): JournalEnd {
  const at = (offset: number): number => bytes.readUInt32BE(offset + 4);
  return { section: at(0), keyBytes: at(8), valueBytes: at(16) };
}
