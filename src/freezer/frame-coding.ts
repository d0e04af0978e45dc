/** Between values and the data of their frames: the codec, and zstd when the store is compressed. */
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import { messageOf } from '../base/errors.ts';
import { crcSize } from '../codec/crc32c.ts';
import { frameSizeMax } from '../journal/value-log.ts';
import { FreezerError } from './freezer-error.ts';
import type { ValueCodec } from './value-codec.ts';

const compressed = promisify(zstdCompress);
const decompressed = promisify(zstdDecompress);
const zstdMagic = Buffer.from('28b52ffd', 'hex');

/** A value on its way into a frame: bytes that are ready, or a value to be encoded in place. */
export interface PreparedValue {
  readonly size: number;
  /** Writes exactly `size` bytes. */
  write(into: Buffer, at: number): void;
}

export class FrameCoding<V> {
  readonly #codec: ValueCodec<V>;
  readonly #level: number | undefined;

  constructor(codec: ValueCodec<V>, level: number | undefined) {
    this.#codec = codec;
    this.#level = level;
  }

  /** Without compression the value is encoded only when it is appended, straight into the journal's buffer. */
  async prepare(value: V): Promise<PreparedValue> {
    const plain = this.prepareInPlace(value);
    if (this.#level === undefined) return plain;
    const encoded = Buffer.allocUnsafe(plain.size);
    plain.write(encoded, 0);
    const params = { [constants.ZSTD_c_compressionLevel]: this.#level };
    // The size in the frame's head is part of the format: the original's one-shot call writes it.
    const bytes = await compressed(encoded, { pledgedSrcSize: encoded.length, params });
    checkSize(bytes.length);
    return { size: bytes.length, write: (into, at) => into.set(bytes, at) };
  }

  prepareInPlace(value: V): PreparedValue {
    const size = this.#codec.encodedSize(value);
    checkSize(size);
    return { size, write: (into, at) => this.#codec.encode(value, into, at) };
  }

  get compresses(): boolean {
    return this.#level !== undefined;
  }

  /** What a frame's data is when it is not what this coding writes; `undefined` when it is. */
  async misread(data: Buffer): Promise<string | undefined> {
    try {
      await this.decode(data);
    } catch (error) {
      return `others: ${messageOf(error)}`;
    }
    return (await this.#isCompressedAfterAll(data)) ? 'compressed ones that also read as plain' : undefined;
  }

  /** The value in a frame's data. Data that is not what the codec or zstd writes is an error. */
  async decode(data: Buffer): Promise<V> {
    return this.#codec.decode(this.#level === undefined ? data : await decompressed(data));
  }

  /** A zstd frame starts with 0x28, the length 40 of a byte vector: one of 41 bytes reads as a plain value too. */
  async #isCompressedAfterAll(data: Buffer): Promise<boolean> {
    if (this.#level !== undefined || !data.subarray(0, zstdMagic.length).equals(zstdMagic)) return false;
    try {
      this.#codec.decode(await decompressed(data));
      return true;
    } catch {
      return false;
    }
  }
}

function checkSize(size: number): void {
  const sizeMax = frameSizeMax - crcSize;
  if (size <= sizeMax) return;
  throw new FreezerError('invalid-value', `value has ${size} bytes encoded; at most ${sizeMax} fit a frame`, {
    details: { size, limit: sizeMax },
  });
}
