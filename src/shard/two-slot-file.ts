/**
 * A small value that is replaced often and must always be there: two slots of one file, written in turn.
 *
 * Format, big-endian: the slots start at 0 and at `slotSpacing`, so that they share no sector. A slot is
 *
 *   magic (4) | version (2) | payload size (2) | sequence (8) | payload | CRC-32C of all before (4)
 *
 * Invariants: sequences rise by one a write and never repeat; a write goes to the slot with the lower sequence, or to
 * the unreadable one, so the newest value is never overwritten; both slots hold a value from the file's creation on.
 *
 * Crash behaviour: a write that did not finish leaves its slot old, new or unreadable, and the other slot as it was. A
 * slot that can be read need not be durable (a failed fsync, a killed process): `settle` writes the chosen slot again in
 * place and syncs it, and comes before anything is built on the value. After a failed write the file is poisoned.
 */
import { assert } from '../base/assert.ts';
import { messageOf } from '../base/errors.ts';
import { Poison } from '../base/poison.ts';
import { crc32c, crcSize } from '../codec/crc32c.ts';
import { readU64, u16Size, u64Size, writeU64 } from '../codec/integer.ts';
import type { Disk, DiskFile } from '../disk/disk.ts';
import { readWhole, replaceFile } from './replace-file.ts';
import { damaged, ShardError } from './shard-error.ts';

/** What a slot holds. */
export interface SlotFormat<T> {
  /** Four ASCII characters. */
  readonly magic: string;
  readonly version: number;
  readonly payloadSize: number;
  /** Fills the payload, which is `payloadSize` bytes of zeros. */
  encode(value: T, into: Buffer): void;
  decode(payload: Buffer): T;
}

/** The value of the newest readable slot. */
export interface SlotReading<T> {
  readonly value: T;
  readonly sequence: number;
  /** The other slot could not be read: it was torn by a crash, or damaged, and may have been newer. */
  readonly otherUnreadable: boolean;
}

export const slotSpacing = 4096;
const fileSize = 2 * slotSpacing;
const versionAt = 4;
const payloadSizeAt = versionAt + u16Size;
const sequenceAt = payloadSizeAt + u16Size;
const payloadAt = sequenceAt + u64Size;

type Slot = 0 | 1;

interface Found<T> extends SlotReading<T> {
  readonly slot: Slot;
}

export class TwoSlotFile<T> {
  readonly path: string;
  readonly #file: DiskFile;
  readonly #format: SlotFormat<T>;
  readonly #poison = new Poison();
  #newest: Found<T>;
  #writing = false;

  private constructor(file: DiskFile, format: SlotFormat<T>, newest: Found<T>) {
    this.path = file.path;
    this.#file = file;
    this.#format = format;
    this.#newest = newest;
  }

  /** Makes the file, crash-safely, with the value in both slots; a file that is there is replaced. */
  static async create<T>(disk: Disk, path: string, format: SlotFormat<T>, value: T): Promise<TwoSlotFile<T>> {
    const bytes = Buffer.alloc(fileSize);
    encodeSlot(format, value, 1).copy(bytes, 0);
    encodeSlot(format, value, 2).copy(bytes, slotSpacing);
    await replaceFile(disk, path, bytes);
    const file = await disk.open(path, { create: false });
    return new TwoSlotFile(file, format, { value, sequence: 2, otherUnreadable: false, slot: 1 });
  }

  /** The newest readable value without holding the file open; undefined when the file is missing. */
  static async read<T>(disk: Disk, path: string, format: SlotFormat<T>): Promise<SlotReading<T> | undefined> {
    const bytes = await readWhole(disk, path);
    return bytes === undefined ? undefined : newestOf(path, format, bytes);
  }

  /** What of the file is not as it was written, one text each; both slots are from its creation on. A missing file has none. */
  static async damage<T>(disk: Disk, path: string, format: SlotFormat<T>): Promise<readonly string[]> {
    const bytes = await readWhole(disk, path);
    return bytes === undefined ? [] : damageIn(path, format, bytes);
  }

  /** Opens the file for writing. Writes nothing itself. A missing file, or one without a readable slot, is `damaged`. */
  static async open<T>(disk: Disk, path: string, format: SlotFormat<T>): Promise<TwoSlotFile<T>> {
    const bytes = await readWhole(disk, path);
    if (bytes === undefined) throw damaged(path, 'the file is missing');
    const newest = newestOf(path, format, bytes);
    return new TwoSlotFile(await disk.open(path, { create: false }), format, newest);
  }

  get newest(): SlotReading<T> {
    return this.#newest;
  }

  /** Makes the value that was read durable: writes its slot again in place. */
  settle(): Promise<void> {
    const { slot, value, sequence } = this.#newest;
    return this.#put(slot, value, sequence);
  }

  /** Puts the value into the other slot too when that cannot be read: a torn one is not named for ever. */
  async mendOther(): Promise<void> {
    if (this.#newest.otherUnreadable) await this.write(this.#newest.value);
  }

  /** Replaces the value; durable on return. One write at a time. */
  async write(value: T): Promise<void> {
    const slot = this.#newest.slot === 0 ? 1 : 0;
    const sequence = this.#newest.sequence + 1;
    await this.#put(slot, value, sequence);
    this.#newest = { value, sequence, slot, otherUnreadable: false };
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #put(slot: Slot, value: T, sequence: number): Promise<void> {
    assert(!this.#writing, `${this.path}: a write while another one is unfinished`);
    if (this.#poison.cause !== undefined) throw this.#poison.cause;
    this.#writing = true;
    try {
      await this.#file.write(slot * slotSpacing, encodeSlot(this.#format, value, sequence));
      await this.#file.sync();
    } catch (error) {
      throw this.#poison.mark(error);
    } finally {
      this.#writing = false;
    }
  }
}

function encodeSlot<T>(format: SlotFormat<T>, value: T, sequence: number): Buffer {
  const bytes = Buffer.alloc(payloadAt + format.payloadSize + crcSize);
  bytes.write(format.magic, 'latin1');
  bytes.writeUInt16BE(format.version, versionAt);
  bytes.writeUInt16BE(format.payloadSize, payloadSizeAt);
  writeU64(bytes, sequence, sequenceAt);
  format.encode(value, bytes.subarray(payloadAt, payloadAt + format.payloadSize));
  bytes.writeUInt32BE(crc32c(bytes.subarray(0, -crcSize)), bytes.length - crcSize);
  return bytes;
}

interface Slotted<T> {
  readonly value: T;
  readonly sequence: number;
}

function newestOf<T>(path: string, format: SlotFormat<T>, bytes: Buffer): Found<T> {
  const first = decodeSlot(path, format, bytes.subarray(0, slotSpacing));
  const second = decodeSlot(path, format, bytes.subarray(slotSpacing));
  if (first === undefined && second === undefined) throw damaged(path, 'neither of its two slots can be read');
  if (first === undefined || second === undefined) {
    const only = first ?? second;
    assert(only !== undefined, 'one of two slots was read');
    return { ...only, slot: first === undefined ? 1 : 0, otherUnreadable: true };
  }
  if (first.sequence === second.sequence) throw damaged(path, `both slots have the sequence ${first.sequence}`);
  return first.sequence > second.sequence
    ? { ...first, slot: 0, otherUnreadable: false }
    : { ...second, slot: 1, otherUnreadable: false };
}

function damageIn<T>(path: string, format: SlotFormat<T>, bytes: Buffer): readonly string[] {
  const problems: string[] = [];
  if (bytes.length !== fileSize) problems.push(`${path}: ${bytes.length} bytes found, ${fileSize} expected`);
  for (const offset of [0, slotSpacing]) {
    const slot = bytes.subarray(offset, offset + slotSpacing);
    const problem = slotDamage(path, format, slot);
    if (problem !== undefined) problems.push(`${path}: the slot at offset ${offset} ${problem}`);
  }
  return problems;
}

function slotDamage<T>(path: string, format: SlotFormat<T>, slot: Buffer): string | undefined {
  try {
    if (decodeSlot(path, format, slot) === undefined) return 'cannot be read: a write to it was torn, or it is damaged';
  } catch (error) {
    return `cannot be read: ${messageOf(error)}`;
  }
  const end = payloadAt + format.payloadSize + crcSize;
  return slot.subarray(end).some((byte) => byte !== 0) ? 'is followed by bytes that nobody wrote' : undefined;
}

/** The slot, or undefined when its bytes do not hold together; a whole slot of another version is a refusal. */
function decodeSlot<T>(path: string, format: SlotFormat<T>, bytes: Buffer): Slotted<T> | undefined {
  if (bytes.length < payloadAt + crcSize || bytes.toString('latin1', 0, versionAt) !== format.magic) return undefined;
  const payloadEnd = payloadAt + bytes.readUInt16BE(payloadSizeAt);
  if (bytes.length < payloadEnd + crcSize) return undefined;
  if (crc32c(bytes.subarray(0, payloadEnd)) !== bytes.readUInt32BE(payloadEnd)) return undefined;
  const version = bytes.readUInt16BE(versionAt);
  const payloadSize = payloadEnd - payloadAt;
  if (version !== format.version || payloadSize !== format.payloadSize) {
    const found = `version ${version} with ${payloadSize} bytes`;
    const expected = `version ${format.version} with ${format.payloadSize}`;
    throw new ShardError(
      'version-unknown',
      `${path}: ${found} found, ${expected} expected; use the version that wrote it`,
      { details: { path, found: version, expected: format.version } },
    );
  }
  return { value: format.decode(bytes.subarray(payloadAt, payloadEnd)), sequence: readU64(bytes, sequenceAt) };
}
