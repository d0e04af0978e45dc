/** What an error carries beside its text: numbers, sizes and places; never a record's key or value. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | undefined>>;

export interface ErrorOptions {
  /** The owner cannot be used any more: it may have lost a write. */
  readonly fatal?: boolean;
  /** The same call may succeed later without anybody's help. */
  readonly retriable?: boolean;
  readonly details?: ErrorDetails;
  readonly cause?: unknown;
}

/**
 * Base of every expected error of Permafrost.
 *
 * `code` is stable and documented; the message is for people and may change. A layer that cannot add *where*
 * something failed lets the error of the layer below pass.
 */
export class PermafrostError<Code extends string = string> extends Error {
  override readonly name: string = 'PermafrostError';
  readonly code: Code;
  readonly fatal: boolean;
  readonly retriable: boolean;
  readonly details: ErrorDetails;

  constructor(code: Code, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.fatal = options.fatal ?? false;
    this.retriable = options.retriable ?? false;
    this.details = options.details ?? {};
  }
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The `code` of a system or Permafrost error, if it has one. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
