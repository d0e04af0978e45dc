import { ProtocolError } from './protocol-error.ts';

/** The limits of the contract. A worker's configuration may change them; an error names the one that was passed. */
export interface ProtocolLimits {
  /** Records a put job. */
  readonly recordCountMax: number;
  /** UTF-8 bytes a key. */
  readonly keyBytesMax: number;
  /** Bytes a value, decoded from base64, or as UTF-8 if given as text. */
  readonly valueBytesMax: number;
  /** UTF-8 bytes of a job's data, as JSON text. */
  readonly jobBytesMax: number;
  /** Keys and cursors a lookup, together. */
  readonly lookupCountMax: number;
  /** Bytes of values in all parts of a reply together; what does not fit is answered `too-large`. */
  readonly replyBytesMax: number;
  /** Characters of a job's `id`. */
  readonly idLengthMax: number;
}

export type LimitName = keyof ProtocolLimits;

export const defaultLimits: ProtocolLimits = {
  recordCountMax: 1000,
  keyBytesMax: 1024,
  valueBytesMax: 1_048_576,
  jobBytesMax: 2_097_152,
  lookupCountMax: 1000,
  replyBytesMax: 16_777_216,
  idLengthMax: 128,
};

/** Refuses `found` above the limit; `field` says where in the message. */
export function checkLimit(limits: ProtocolLimits, limit: LimitName, found: number, field: string): void {
  const max = limits[limit];
  if (found <= max) return;
  const message = `${field}: found ${found}, the limit ${limit} is ${max}`;
  throw new ProtocolError('limit-exceeded', message, { details: { field, limit, max, found } });
}
