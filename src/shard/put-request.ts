/** What a put asks for and gets. */

/**
 * What to do when a key has a record already: store a new version, store one unless the payload is the same, leave
 * the record alone, or refuse the whole put.
 */
export type IfExists = 'append' | 'skip-same' | 'keep' | 'reject';

export interface PutRecord {
  /** The original key: well-formed, at most 65,535 bytes of UTF-8. */
  readonly key: string;
  /** SHA-256 of the key: what the engine files the record under. */
  readonly storedKey: Buffer;
  readonly payload: Buffer;
}

export interface PutRequest {
  /** Names the put for ever, at most 256 bytes of UTF-8; with it a repeated delivery is recognised. */
  readonly putId: string;
  /** The put may have been stored before, wholly or in part. */
  readonly redelivered: boolean;
  /**
   * When its job was created, in milliseconds of the producer's wall clock: what was archived long before is not asked
   * whether it is the put's own. Left out, all versions of its keys may be.
   */
  readonly createdAtMs?: number | undefined;
  readonly ifExists: IfExists;
  readonly records: readonly PutRecord[];
  /**
   * Place of each record in the put, where these are only some of its records: a put may be spread over several shards,
   * and over others when it is sent again. Left out, they are all of them.
   */
  readonly places?: readonly number[] | undefined;
}

/** By this and the put's id a record is known again. */
export function placeOf({ places }: PutRequest, index: number): number {
  return places?.[index] ?? index;
}

export type PutOutcome = 'stored' | 'unchanged' | 'kept';

export interface PutRecordResult {
  /** The 20 bytes of the cursor of the record that is on disk. */
  readonly cursor: Buffer;
  readonly outcome: PutOutcome;
}

export interface PutResult {
  /** Number of the commit that made it durable; rises by one a commit. */
  readonly commit: number;
  /** In the order of the request. */
  readonly records: readonly PutRecordResult[];
}
