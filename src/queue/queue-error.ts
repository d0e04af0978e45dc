import { PermafrostError } from '../base/errors.ts';

/**
 * - `redis-unreachable`: no answer within the time given. `redis-refused`: it answers, but not to us (password, TLS).
 * - `reply-undeliverable`: a reply could not be handed to Redis in time; it was dropped and counted.
 */
export type QueueErrorCode = 'redis-unreachable' | 'redis-refused' | 'reply-undeliverable';

export class QueueError extends PermafrostError<QueueErrorCode> {
  override readonly name = 'QueueError';
}
