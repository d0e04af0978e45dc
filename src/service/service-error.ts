import { PermafrostError } from '../base/errors.ts';

/**
 * - `http-address`: the address for metrics and health cannot be listened on.
 * - `topology-unreadable`: what Redis or the copy on disk says of the archive's shards is no topology.
 * - `fenced`: another worker has taken the shard over. `shard-failed`: the shard cannot store any more.
 */
export type ServiceErrorCode = 'http-address' | 'topology-unreadable' | 'fenced' | 'shard-failed';

export class ServiceError extends PermafrostError<ServiceErrorCode> {
  override readonly name = 'ServiceError';
}
