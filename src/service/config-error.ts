import { PermafrostError } from '../base/errors.ts';

/** `unknown-key`, `invalid-value`, `unreadable-file`: the setting to mend is named in the message and in `details.key`. */
export type ConfigErrorCode = 'unknown-key' | 'invalid-value' | 'unreadable-file';

/** A configuration that cannot be used. Nothing was started. */
export class ConfigError extends PermafrostError<ConfigErrorCode> {
  override readonly name = 'ConfigError';
}
