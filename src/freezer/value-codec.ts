import { CodecError } from '../codec/codec-error.ts';
import { readVarint, varintSize, writeVarint } from '../codec/varint.ts';

/** How a value becomes bytes, before compression. */
export interface ValueCodec<V> {
  /** Exact number of bytes that `encode` will write. */
  encodedSize(value: V): number;
  /** Writes the value at the offset and returns the offset behind it. */
  encode(value: V, into: Buffer, offset: number): number;
  /** The value in exactly these bytes, which it may keep a view of; anything else is a CodecError. */
  decode(bytes: Buffer): V;
}

/** A byte vector: length as varint, then the bytes. The original's `Vec<u8>`. */
export const bytesCodec: ValueCodec<Uint8Array> = {
  encodedSize: (value) => varintSize(value.length) + value.length,
  encode(value, into, offset) {
    const start = writeVarint(into, value.length, offset);
    into.set(value, start);
    return start + value.length;
  },
  decode(bytes) {
    const { value: length, end } = readVarint(bytes, 0);
    if (bytes.length - end !== length) {
      throw new CodecError('malformed', `byte vector of ${length} bytes has ${bytes.length - end}`);
    }
    return bytes.subarray(end);
  },
};

/** A signed 32-bit integer, big-endian. The original's `i32`. */
export const int32Codec: ValueCodec<number> = {
  encodedSize: () => 4,
  encode: (value, into, offset) => into.writeInt32BE(value, offset),
  decode(bytes) {
    if (bytes.length !== 4) throw new CodecError('malformed', `an i32 has 4 bytes, found ${bytes.length}`);
    return bytes.readInt32BE(0);
  },
};

/** Exactly `size` bytes, as they are. The original's `[u8; N]`. */
export function fixedBytesCodec(size: number): ValueCodec<Uint8Array> {
  const checked = (length: number): number => {
    if (length !== size) throw new CodecError('malformed', `expected ${size} bytes, found ${length}`);
    return length;
  };
  return {
    encodedSize: (value) => checked(value.length),
    encode(value, into, offset) {
      into.set(value, offset);
      return offset + value.length;
    },
    decode(bytes) {
      checked(bytes.length);
      return bytes;
    },
  };
}
