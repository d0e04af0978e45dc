/**
 * A JSON file that people can read and no flipped bit can change: its last member is the CRC-32C of the compact JSON of
 * all others. Its `format` says which version wrote it.
 */
import { crc32c } from '../codec/crc32c.ts';

/** What a document must be; both functions throw. */
export interface DocumentFormat {
  readonly version: number;
  /** The bytes are not what was written. */
  damaged(finding: string, cause?: unknown): never;
  /** They are, by another version. */
  unknownVersion(found: string): never;
}

export type DocumentMembers = Readonly<Record<string, unknown>>;

/** The file's bytes; members keep their order. */
export function encodeDocument(version: number, members: object): Buffer {
  const document = { format: version, ...members };
  const text = JSON.stringify({ ...document, checksum: checksumOf(document) }, undefined, 2);
  return Buffer.from(`${text}\n`);
}

/** The members, format and checksum not among them. Their types are for the caller to check. */
export function decodeDocument(bytes: Buffer, expected: DocumentFormat): DocumentMembers {
  const { checksum, ...document } = parseObject(bytes, expected);
  if (checksum !== checksumOf(document)) expected.damaged('its checksum does not match');
  const { format, ...members } = document;
  if (format !== expected.version) expected.unknownVersion(String(format));
  return members;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function checksumOf(document: object): string {
  return crc32c(Buffer.from(JSON.stringify(document)))
    .toString(16)
    .padStart(8, '0');
}

function parseObject(bytes: Buffer, expected: DocumentFormat): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch (error) {
    return expected.damaged('it is not JSON', error);
  }
  return isObject(value) ? value : expected.damaged('it is not a JSON object');
}
