import { PermafrostError } from '../base/errors.ts';

/**
 * - `corruption`: bytes are not what was written; `details` has file, offset, expected and found.
 * - `newer-layout`: the file has the header of a later format that this engine does not write.
 * - `out-of-range`: asked for something that was never written.
 * - `closed`: the file was given back in the meantime.
 */
export type BlobErrorCode = 'corruption' | 'newer-layout' | 'out-of-range' | 'closed';

export class BlobError extends PermafrostError<BlobErrorCode> {
  override readonly name = 'BlobError';
}

export interface Damage {
  readonly file: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly expected: string | number;
  readonly found: string | number;
}

/** The error for bytes that are not what was written. */
export function corruption(what: string, damage: Damage): BlobError {
  const text = `${damage.file} at ${damage.offset}: ${what}: expected ${damage.expected}, found ${damage.found}`;
  return new BlobError('corruption', text, { details: { ...damage } });
}

/** An 32-bit checksum as people read it. */
export function hex32(value: number): string {
  return value.toString(16).padStart(8, '0');
}
