/** The first bytes of every file of the engine. FORMAT.md section 3. */
import { u16Size, u32Size } from '../codec/integer.ts';
import { BlobError, corruption } from './blob-error.ts';

const magic = Buffer.from('CWIC', 'ascii');
const newerMagic = Buffer.from('CWIK', 'ascii');
const containerVersion = 0;
const blobVersion = 0;

const containerVersionAt = magic.length;
const blobVersionAt = containerVersionAt + u16Size;
export const headerSize = blobVersionAt + u16Size;

export function encodeHeader(): Buffer {
  const bytes = Buffer.alloc(headerSize);
  magic.copy(bytes);
  bytes.writeUInt16BE(containerVersion, containerVersionAt);
  bytes.writeUInt16BE(blobVersion, blobVersionAt);
  return bytes;
}

/** Passes only the header that this engine writes. */
export function validateHeader(bytes: Buffer, file: string): void {
  const found = bytes.subarray(0, u32Size);
  if (found.equals(newerMagic)) {
    throw new BlobError('newer-layout', `${file} has a header of a newer layout (CWIK); this engine reads CWIC`, {
      details: { file, expected: 'CWIC', found: 'CWIK' },
    });
  }
  if (!bytes.equals(encodeHeader())) {
    throw corruption('header', {
      file,
      offset: 0,
      expected: encodeHeader().toString('hex'),
      found: bytes.toString('hex'),
    });
  }
}
