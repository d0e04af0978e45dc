/**
 * The envelope: what the engine stores as the value of a record.
 *
 * Layout, big-endian: version (1) | flags (1) | time of archival, ms since 1970 (8) | record index (4) |
 * size of the put id (2) | size of the key (2) | put id, UTF-8 | key, UTF-8 | payload to the end.
 *
 * The put id with the index of the record in its job makes a put idempotent. The key is the original one, of which the
 * engine only knows the SHA-256: with it a reader can be sure that a value is what was asked for, and an export knows
 * what it sees. No flag is defined yet; bit 0 is kept for a payload that is compressed with zstd.
 *
 * For the engine an envelope is a byte vector, so a store opens with any reader of such vectors.
 */
import { CodecError } from '../codec/codec-error.ts';
import { readU64, u8Size, u16Size, u32Size, u64Size, writeU64 } from '../codec/integer.ts';
import { varintSize, writeVarint } from '../codec/varint.ts';
import { bytesCodec, type ValueCodec } from '../freezer/value-codec.ts';

export interface Envelope {
  /** Names the put that stored the record, at most `putIdBytesMax` bytes of UTF-8. */
  readonly putId: string;
  /** Index of the record in its put. */
  readonly recordIndex: number;
  /** Wall clock of the shard when it stored the record. */
  readonly archivedAtMs: number;
  /** The original key, at most 65,535 bytes of UTF-8. */
  readonly key: string;
  readonly payload: Uint8Array;
}

export const putIdBytesMax = 256;
export const keyBytesLimit = 0xffff;

const envelopeVersion = 1;
const knownFlags = 0;
const flagsAt = u8Size;
const archivedAtAt = flagsAt + u8Size;
const recordIndexAt = archivedAtAt + u64Size;
const putIdSizeAt = recordIndexAt + u32Size;
const keySizeAt = putIdSizeAt + u16Size;
const putIdAt = keySizeAt + u16Size;
/** Bytes of an envelope beside put id, key and payload. */
export const envelopeHeadSize = putIdAt;

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Bytes of the encoded envelope. */
export function envelopeSize(envelope: Envelope): number {
  return putIdAt + Buffer.byteLength(envelope.putId) + Buffer.byteLength(envelope.key) + envelope.payload.length;
}

/** Writes the envelope and returns the offset behind it. A field that does not fit is the CodecError `out-of-range`. */
export function writeEnvelope(envelope: Envelope, into: Buffer, offset: number): number {
  const putIdSize = bounded('put id', Buffer.byteLength(envelope.putId), putIdBytesMax);
  const keySize = bounded('key', Buffer.byteLength(envelope.key), keyBytesLimit);
  into.writeUInt8(envelopeVersion, offset);
  into.writeUInt8(knownFlags, offset + flagsAt);
  writeU64(into, envelope.archivedAtMs, offset + archivedAtAt);
  into.writeUInt32BE(envelope.recordIndex, offset + recordIndexAt);
  into.writeUInt16BE(putIdSize, offset + putIdSizeAt);
  into.writeUInt16BE(keySize, offset + keySizeAt);
  let at = offset + putIdAt;
  at += into.write(envelope.putId, at, 'utf8');
  at += into.write(envelope.key, at, 'utf8');
  into.set(envelope.payload, at);
  return at + envelope.payload.length;
}

export function encodeEnvelope(envelope: Envelope): Buffer {
  const bytes = Buffer.allocUnsafe(envelopeSize(envelope));
  writeEnvelope(envelope, bytes, 0);
  return bytes;
}

/** The envelope in exactly these bytes, its payload a view of them; anything else is a CodecError. */
export function decodeEnvelope(bytes: Buffer): Envelope {
  if (bytes.length < putIdAt) throw new CodecError('malformed', `an envelope of ${bytes.length} bytes is cut off`);
  const version = bytes.readUInt8(0);
  if (version !== envelopeVersion)
    throw new CodecError('malformed', `envelope version ${version} found, ${envelopeVersion} expected`);
  const flags = bytes.readUInt8(flagsAt);
  if (flags !== knownFlags) throw new CodecError('malformed', `envelope flags 0x${flags.toString(16)} are unknown`);
  const keyAt = putIdAt + bytes.readUInt16BE(putIdSizeAt);
  const payloadAt = keyAt + bytes.readUInt16BE(keySizeAt);
  if (payloadAt > bytes.length)
    throw new CodecError('malformed', `envelope of ${bytes.length} bytes, its head alone needs ${payloadAt}`);
  return {
    putId: decodeText(bytes, putIdAt, keyAt),
    recordIndex: bytes.readUInt32BE(recordIndexAt),
    archivedAtMs: readU64(bytes, archivedAtAt),
    key: decodeText(bytes, keyAt, payloadAt),
    payload: bytes.subarray(payloadAt),
  };
}

/** An envelope as the byte vector that the engine stores, without a copy in between. */
export const envelopeCodec: ValueCodec<Envelope> = {
  encodedSize(envelope) {
    const size = envelopeSize(envelope);
    return varintSize(size) + size;
  },
  encode: (envelope, into, offset) => writeEnvelope(envelope, into, writeVarint(into, envelopeSize(envelope), offset)),
  decode: (bytes) => decodeEnvelope(asBuffer(bytesCodec.decode(bytes))),
};

function bounded(name: string, size: number, limit: number): number {
  if (size > limit) throw new CodecError('out-of-range', `${name} of ${size} bytes, at most ${limit} are possible`);
  return size;
}

function decodeText(bytes: Buffer, from: number, to: number): string {
  // Most are: a third of what the strict decoder costs.
  if (isAscii(bytes, from, to)) return bytes.toString('latin1', from, to);
  try {
    return strictUtf8.decode(bytes.subarray(from, to));
  } catch (error) {
    throw new CodecError('malformed', 'text in an envelope is not UTF-8', { cause: error });
  }
}

function isAscii(bytes: Buffer, from: number, to: number): boolean {
  let all = 0;
  for (let at = from; at < to; at++) all |= bytes[at] ?? 0;
  return all < 0x80;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
