/** Fields of a log line. No secret, and no record's key or value above `debug`. */
export type LogFields = Readonly<Record<string, unknown>>;

/** The smallest logger that every layer can take; pino satisfies it. */
export interface Logger {
  debug(fields: LogFields, event: string): void;
  info(fields: LogFields, event: string): void;
  warn(fields: LogFields, event: string): void;
  error(fields: LogFields, event: string): void;
}

export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
};
