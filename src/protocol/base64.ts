import { checkLimit, type LimitName, type ProtocolLimits } from './limits.ts';
import { ProtocolError } from './protocol-error.ts';

/** Largest size that a limit on decoded bytes is checked against; the limit is checked before anything is decoded. */
export interface Base64Limit {
  readonly limits: ProtocolLimits;
  readonly limit: LimitName;
}

/**
 * The bytes of strict base64: standard alphabet, padded, canonical, no white space. Anything else is a ProtocolError
 * `invalid-base64`. Node's own decoder skips what it does not know, which would archive something else than was sent.
 */
export function decodeBase64(text: string, field: string, bound?: Base64Limit): Buffer {
  if (bound !== undefined) checkLimit(bound.limits, bound.limit, decodedSize(text), field);
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') === text) return bytes;
  throw new ProtocolError('invalid-base64', `${field}: not strict base64 (RFC 4648 section 4, padded)`, {
    details: { field },
  });
}

export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

function decodedSize(text: string): number {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  return Math.floor((text.length * 3) / 4) - padding;
}
