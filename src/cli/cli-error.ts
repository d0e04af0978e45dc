import { PermafrostError } from '../base/errors.ts';

/**
 * - `already-running`: `npm start` runs already on this data directory. `redis-missing`: no Redis server program.
 * - `redis-failed`: the private Redis ended, or did not start. `worker-failed`: the worker of `npm start` had to give up.
 * - `unreadable-input`: a file or directory that was named cannot be read. `invalid-record`: a line that is no record.
 * - `unwritable-output`: the result could not be written.
 */
export type CliErrorCode =
  | 'already-running'
  | 'redis-missing'
  | 'redis-failed'
  | 'worker-failed'
  | 'unreadable-input'
  | 'invalid-record'
  | 'unwritable-output';

/** What a command cannot do for reasons of its surroundings. */
export class CliError extends PermafrostError<CliErrorCode> {
  override readonly name = 'CliError';
}
