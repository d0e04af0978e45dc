import { type DestinationStream, type Logger as PinoLogger, pino, stdTimeFunctions } from 'pino';
import { PermafrostError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';

/** pino, which satisfies the Logger of every layer. */
export type ServiceLogger = Logger & Pick<PinoLogger, 'child' | 'flush'>;

const masked = ['password', 'url', 'token', 'redis.password', 'redis.url', 'http.token'];
const maskedPaths = [...masked, ...masked.filter((path) => path.includes('.')).map((path) => `config.${path}`)];

/**
 * A logger that writes one JSON object a line: time, level, `event` and fields.
 *
 * The password of a URL and every field called `password` or `token` are masked. An `error` field becomes its code, message,
 * details and causes, not its enumerable properties: those of a client library's errors hold the command with its
 * arguments, which are records.
 */
export function createLogger(
  level: string,
  fields: Readonly<Record<string, unknown>>,
  to?: DestinationStream,
): ServiceLogger {
  const options = {
    level,
    base: fields,
    messageKey: 'event',
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { error: errorFields },
    redact: { paths: maskedPaths, censor: (value: unknown, path: string[]) => censored(value, path.at(-1)) },
  };
  return to === undefined ? pino(options) : pino(options, to);
}

function censored(value: unknown, name: string | undefined): unknown {
  if (name !== 'url' || typeof value !== 'string') return value === '' ? '' : '***';
  return withoutPassword(value);
}

function withoutPassword(text: string): string {
  return text.replace(/(\/\/[^:@/]*):[^@/]*@/g, '$1:***@');
}

interface ErrorFields {
  readonly name: string;
  readonly code?: string;
  readonly message: string;
  readonly details?: unknown;
  readonly stack?: string;
  readonly cause?: ErrorFields;
}

function errorFields(error: unknown): ErrorFields | string {
  if (!(error instanceof Error)) return withoutPassword(String(error));
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  const details = error instanceof PermafrostError ? { details: error.details } : stackOf(error);
  const cause = error.cause instanceof Error ? { cause: errorFields(error.cause) as ErrorFields } : {};
  return { name: error.name, ...code, message: withoutPassword(error.message), ...details, ...cause };
}

/** The stack of an error that nobody expected; the expected ones say what is needed. */
function stackOf(error: Error): { stack?: string } {
  return error.stack === undefined ? {} : { stack: withoutPassword(error.stack) };
}
