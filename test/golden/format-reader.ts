/**
 * A second reader of the format, written from docs/FORMAT.md alone: it shares no code with the engine, not even the
 * checksum. It reads a store at a checkpoint the way the original opens one, and it is stricter: whatever the
 * document forbids is an error. So tests compare by content where bytes may differ, as after a commit or a recovery.
 */
import assert from 'node:assert/strict';
import { zstdDecompressSync } from 'node:zlib';

/** Whole files by `<partition>/<name>`. */
export type StoreFiles = ReadonlyMap<string, Buffer>;

export interface ReaderSettings {
  readonly keySize: number;
  readonly pageSize: number;
  readonly compressed: boolean;
}

/** The 28 bytes of a checkpoint. */
export type CheckpointBytes = Buffer;

const header = Buffer.from('4357494300000000', 'hex');
const slotSize = 29;
const pageRecordSize = 12;
const noNext = 'ff'.repeat(16);

/** The newest value of every key that can be reached, in hex by key in hex. Values are byte vectors. */
export function readStore(
  files: StoreFiles,
  settings: ReaderSettings,
  checkpoint: CheckpointBytes,
): Map<string, string> {
  const reader = new Reader(files, settings, checkpoint);
  const values = new Map<string, string>();
  for (let bucket = 0; bucket < reader.tableSize; bucket++) reader.readChain(bucket, values);
  return values;
}

class Reader {
  readonly tableSize: number;
  readonly #files: StoreFiles;
  readonly #settings: ReaderSettings;
  readonly #epoch: bigint;
  readonly #section: bigint;
  readonly #keyBytes: bigint;
  readonly #table: Buffer;
  readonly #payloads = new Map<bigint, Buffer>();

  constructor(files: StoreFiles, settings: ReaderSettings, checkpoint: CheckpointBytes) {
    assert.equal(checkpoint.length, 28);
    this.#files = files;
    this.#settings = settings;
    this.#epoch = checkpoint.readBigUInt64BE(0);
    this.#section = checkpoint.readBigUInt64BE(8);
    this.#keyBytes = checkpoint.readBigUInt64BE(16);
    this.tableSize = checkpoint.readUInt32BE(24);
    this.#table = this.#content('table/7461626c65');
    const whole = this.tableSize * 2 * slotSize;
    assert.ok([whole, 2 * whole].includes(this.#table.length), `table of ${this.#table.length} bytes`);
  }

  readChain(bucket: number, values: Map<string, string>): void {
    let at = this.#head(bucket);
    while (at !== undefined) {
      const record = this.#record(at.section, at.position);
      const key = record.key.toString('hex');
      if ((crc32c(record.key) & (this.tableSize - 1)) >>> 0 === bucket && !values.has(key)) {
        values.set(key, this.#value(at.section, record.valueOffset, record.valueSize).toString('hex'));
      }
      const next: Place | undefined = record.next;
      if (next !== undefined) {
        assert.ok(
          next.section < at.section || (next.section === at.section && next.position < at.position),
          'a chain goes backwards',
        );
      }
      at = next;
    }
  }

  #head(bucket: number): Place | undefined {
    const valid = [0, 1]
      .map((index) => this.#table.subarray((2 * bucket + index) * slotSize, (2 * bucket + index + 1) * slotSize))
      .filter((slot) => slot.some((byte) => byte !== 0))
      .filter((slot) => slot.readUInt32BE(25) === crc32c(slot.subarray(0, 25)))
      .filter((slot) => slot.readBigUInt64BE(0) <= this.#epoch);
    const [first, second] = valid.map((slot) => ({
      epoch: slot.readBigUInt64BE(0),
      place: { section: slot.readBigUInt64BE(8), position: slot.readBigUInt64BE(16) },
    }));
    if (first === undefined || second === undefined) return first?.place;
    assert.notEqual(first.epoch, second.epoch, 'two slots of one epoch');
    return first.epoch > second.epoch ? first.place : second.place;
  }

  #record(section: bigint, position: bigint): KeyRecord {
    const { keySize } = this.#settings;
    const size = BigInt(keySize + 28);
    const end = Number((position + 1n) * size);
    const bytes = this.#payload(section).subarray(end - Number(size), end);
    assert.equal(BigInt(bytes.length), size, `record ${position} of section ${section}`);
    const next = bytes.subarray(keySize, keySize + 16);
    return {
      key: bytes.subarray(0, keySize),
      next:
        next.toString('hex') === noNext
          ? undefined
          : { section: next.readBigUInt64BE(0), position: next.readBigUInt64BE(8) },
      valueOffset: bytes.readBigUInt64BE(keySize + 16),
      valueSize: bytes.readUInt32BE(keySize + 24),
    };
  }

  /** The key journal of a section without its page layer; in the checkpoint's section not beyond the checkpoint. */
  #payload(section: bigint): Buffer {
    const known = this.#payloads.get(section);
    if (known !== undefined) return known;
    assert.ok(section <= this.#section, `section ${section} beyond the checkpoint`);
    const content = this.#content(`key/${fileName(section)}`);
    const { pageSize } = this.#settings;
    const pages: Buffer[] = [];
    for (let start = 0; start < content.length; start += pageSize + pageRecordSize) {
      assert.ok(
        pages.every((page) => page.length === pageSize),
        'a page before the last is full',
      );
      pages.push(validData(content.subarray(start, start + pageSize + pageRecordSize), pageSize));
    }
    const whole = Buffer.concat(pages);
    if (section === this.#section) assert.ok(BigInt(whole.length) >= this.#keyBytes, 'the checkpoint is covered');
    const payload = section === this.#section ? whole.subarray(0, Number(this.#keyBytes)) : whole;
    assert.equal(payload.length % (this.#settings.keySize + 28), 0, 'whole records');
    this.#payloads.set(section, payload);
    return payload;
  }

  #value(section: bigint, offset: bigint, size: number): Buffer {
    const frame = this.#content(`value/${fileName(section)}`).subarray(Number(offset), Number(offset) + size);
    assert.equal(frame.length, size, 'the frame is in the file');
    const data = frame.subarray(0, size - 4);
    assert.equal(frame.readUInt32BE(size - 4), crc32c(data), 'checksum of a value');
    return byteVector(this.#settings.compressed ? zstdDecompressSync(data) : data);
  }

  #content(path: string): Buffer {
    const file = this.#files.get(path);
    assert.ok(file !== undefined, `${path} is missing`);
    assert.ok(file.subarray(0, 8).equals(header), `header of ${path}`);
    return file.subarray(8);
  }
}

interface Place {
  readonly section: bigint;
  readonly position: bigint;
}

interface KeyRecord {
  readonly key: Buffer;
  readonly next: Place | undefined;
  readonly valueOffset: bigint;
  readonly valueSize: number;
}

/** Data of a page by the checksum of the larger length, or else by the other one. */
function validData(page: Buffer, pageSize: number): Buffer {
  assert.equal(page.length, pageSize + pageRecordSize, 'a whole physical page');
  const slots = [0, 6].map((at) => ({
    length: page.readUInt16BE(pageSize + at),
    crc: page.readUInt32BE(pageSize + at + 2),
  }));
  const [first, second] = slots;
  assert.ok(first !== undefined && second !== undefined);
  const order = second.length > first.length ? [second, first] : [first, second];
  for (const { length, crc } of order) {
    if (length === 0 || length > pageSize) continue;
    const data = page.subarray(0, length);
    if (crc32c(data) === crc) return data;
  }
  assert.fail('a page without a valid checksum');
}

function byteVector(bytes: Buffer): Buffer {
  let length = 0;
  for (let index = 0; ; index++) {
    const byte = bytes.readUInt8(index);
    length += (byte & 0x7f) * 2 ** (7 * index);
    if (byte >= 0x80) continue;
    const data = bytes.subarray(index + 1);
    assert.equal(data.length, length, 'length of a byte vector');
    return data;
  }
}

function fileName(section: bigint): string {
  return section.toString(16).padStart(16, '0');
}

/** CRC-32C bit by bit. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
  }
  return (crc ^ 0xffff_ffff) >>> 0;
}
