/** Between values and the data of their frames: the codec, and zstd when the store is compressed. */
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import { present } from '../base/assert.ts';
import { messageOf } from '../base/errors.ts';
import { crcSize } from '../codec/crc32c.ts';
import { frameSizeMax } from '../journal/value-log.ts';
import { FreezerError } from './freezer-error.ts';
import type { ValueCodec } from './value-codec.ts';

const compressed = promisify(zstdCompress);
const decompressed = promisify(zstdDecompress);
const zstdMagic = Buffer.from('28b52ffd', 'hex');

/** Values on their way into frames: compressed, or to be encoded in place. */
export interface PreparedValues {
  /** Bytes of each one's data. */
  readonly sizes: readonly number[];
  /** Writes exactly as many bytes as `sizes` says. */
  write(index: number, into: Buffer, at: number): void;
}

export class FrameCoding<V> {
  readonly #codec: ValueCodec<V>;
  readonly #level: number | undefined;

  constructor(codec: ValueCodec<V>, level: number | undefined) {
    this.#codec = codec;
    this.#level = level;
  }

  /**
   * Checks the values' sizes. Without compression they are encoded only when they are appended, straight into the
   * journal's buffer.
   */
  prepareMany(values: readonly V[]): PreparedValues | Promise<PreparedValues> {
    if (this.#level !== undefined) return this.#compressMany(values, this.#level);
    const sizes = values.map((value) => checkedSize(this.#codec.encodedSize(value)));
    return { sizes, write: (index, into, at) => this.#codec.encode(values[index] as V, into, at) };
  }

  get compresses(): boolean {
    return this.#level !== undefined;
  }

  async #compressMany(values: readonly V[], level: number): Promise<PreparedValues> {
    const frames: Buffer[] = [];
    for (const value of values) frames.push(await this.#compress(value, level));
    return {
      sizes: frames.map(({ length }) => length),
      write: (index, into, at) => into.set(present(frames[index], 'a compressed value'), at),
    };
  }

  async #compress(value: V, level: number): Promise<Buffer> {
    const encoded = Buffer.allocUnsafe(checkedSize(this.#codec.encodedSize(value)));
    this.#codec.encode(value, encoded, 0);
    const params = { [constants.ZSTD_c_compressionLevel]: level };
    // The size in the frame's head is part of the format: the original's one-shot call writes it.
    const bytes = await compressed(encoded, { pledgedSrcSize: encoded.length, params });
    checkedSize(bytes.length);
    return bytes;
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

  /** The value in a frame's data, at once where nothing is compressed. Data that is not what the codec or zstd writes is an error. */
  decode(data: Buffer): V | Promise<V> {
    return this.#level === undefined ? this.#codec.decode(data) : this.#decompress(data);
  }

  async #decompress(data: Buffer): Promise<V> {
    return this.#codec.decode(await decompressed(data));
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

function checkedSize(size: number): number {
  const sizeMax = frameSizeMax - crcSize;
  if (size <= sizeMax) return size;
  throw new FreezerError('invalid-value', `value has ${size} bytes encoded; at most ${sizeMax} fit a frame`, {
    details: { size, limit: sizeMax },
  });
}
