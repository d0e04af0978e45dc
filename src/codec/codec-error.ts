import { PermafrostError } from '../base/errors.ts';

export type CodecErrorCode = 'malformed' | 'out-of-range';

/** Bytes that are not what the layout says. */
export class CodecError extends PermafrostError<CodecErrorCode> {
  override readonly name = 'CodecError';
}
