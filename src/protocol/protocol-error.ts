import { PermafrostError } from '../base/errors.ts';

/**
 * What can be wrong with a message or a name. Stable, part of the wire contract (docs/PROTOCOL.md).
 *
 * - `malformed-json`: the job's data is not JSON. `unsupported-version`: `v` is not a version this side knows.
 * - `missing-field`, `invalid-field`: a field is absent, or has the wrong type or shape.
 * - `invalid-base64`: not strict base64 (RFC 4648 section 4, padded, canonical). `invalid-text`: a lone surrogate.
 * - `invalid-cursor`, `invalid-reply-to`, `invalid-name`: a cursor, reply address, or name that cannot be one.
 * - `limit-exceeded`: a limit is passed; `limit` names it.
 */
export const protocolErrorCodes = [
  'malformed-json',
  'unsupported-version',
  'missing-field',
  'invalid-field',
  'invalid-base64',
  'invalid-text',
  'invalid-cursor',
  'invalid-reply-to',
  'invalid-name',
  'limit-exceeded',
] as const;
export type ProtocolErrorCode = (typeof protocolErrorCodes)[number];

/**
 * A message that breaks the contract. Trying again cannot help.
 *
 * `details.field` says where (`records[3].value`), `details.limit` which limit, `details.max` and `details.found` the
 * numbers. Neither text nor details hold a record's key or value.
 */
export class ProtocolError extends PermafrostError<ProtocolErrorCode> {
  override readonly name = 'ProtocolError';
}

/** An error as it travels in a receipt or a reply. */
export interface WireError {
  /** A ProtocolErrorCode or a RefusalCode; a reader takes an unknown code for a failure. */
  readonly code: string;
  readonly message: string;
  /** Name of the limit that was passed. */
  readonly limit?: string;
}

/**
 * What a shard answers beside the ProtocolErrorCodes.
 *
 * - `key-exists`: a put with `ifExists: "reject"` met a key that is there; nothing of the job was stored.
 * - `several-homes`: `ifExists` was asked for a key that may live on more than one shard.
 * - `corrupt`: the record's bytes on disk are damaged. `wrong-cursor`: the cursor names no record of this shard.
 * - `unknown-client`: `replyTo` names a client without a heartbeat; a lookup for it is not carried out.
 * - `unavailable`: the shard cannot answer now; asking again later may help.
 * - `internal`: none of these; the worker's log says more.
 */
export const refusalCodes = [
  'key-exists',
  'several-homes',
  'corrupt',
  'wrong-cursor',
  'unknown-client',
  'unavailable',
  'internal',
] as const;
export type RefusalCode = (typeof refusalCodes)[number];
