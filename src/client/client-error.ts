import { PermafrostError } from '../base/errors.ts';

/**
 * - `invalid-options`: an option is out of range. `connection`: no Redis there, or it is gone.
 * - `deadline`: no answer in time; a put may be stored all the same. `aborted`: the caller's signal; likewise.
 * - `refused`: the archive refused the call; `details.reason` is its code, `details.limit` the limit that was passed.
 * - `lookup-failed`: there is no answer for this key; `details.outcome` says why.
 * - `backlog-full`: more jobs wait than the client allows, or Redis has no memory left; nothing was sent.
 * - `too-many-calls`: more calls are pending than the client allows; nothing was sent.
 * - `duplicate-id`: a put with this id is pending already; nothing was sent.
 * - `several-shards`: the records of a put that one shard must decide as a whole are of several; nothing was sent.
 * - `redis`: Redis answered with an error. `closed`: the client was closed; a put may be stored all the same.
 */
export type ClientErrorCode =
  | 'invalid-options'
  | 'connection'
  | 'deadline'
  | 'aborted'
  | 'refused'
  | 'lookup-failed'
  | 'backlog-full'
  | 'too-many-calls'
  | 'duplicate-id'
  | 'several-shards'
  | 'redis'
  | 'closed';

/** A call on the client that did not succeed. `retriable`: the same call may succeed later. */
export class ClientError extends PermafrostError<ClientErrorCode> {
  override readonly name = 'ClientError';
}
