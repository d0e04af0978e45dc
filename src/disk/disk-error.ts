import { codeOf, messageOf, PermafrostError } from '../base/errors.ts';

export type DiskErrorCode = 'not-found' | 'short-read' | 'disk-full' | 'disk-failed';

/** An operation of the disk that did not succeed: `details` has operation, path, offset and size where they apply. */
export class DiskError extends PermafrostError<DiskErrorCode> {
  override readonly name = 'DiskError';
}

export interface DiskOperation {
  readonly operation: string;
  readonly path: string;
  readonly offset?: number;
  readonly size?: number;
}

/** The DiskError that a system error of Node stands for. */
export function diskErrorFrom(error: unknown, where: DiskOperation): DiskError {
  const system = codeOf(error);
  const code =
    system === 'ENOENT' ? 'not-found' : system === 'ENOSPC' || system === 'EDQUOT' ? 'disk-full' : 'disk-failed';
  return new DiskError(code, `${where.operation} of ${where.path || '.'} failed: ${messageOf(error)}`, {
    retriable: code === 'disk-full',
    details: { ...where, system },
    cause: error,
  });
}

/** A read that met the end of the file. */
export function shortRead(path: string, offset: number, expected: number, found: number): DiskError {
  return new DiskError('short-read', `${path}: expected ${expected} bytes at offset ${offset}, found ${found}`, {
    details: { operation: 'read', path, offset, expected, found },
  });
}
