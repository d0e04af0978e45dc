import { PermafrostError } from '../../src/base/errors.ts';

/** Input of the golden program that is not what the form of scenarios and stores says. */
export class GoldenError extends PermafrostError<'malformed'> {
  override readonly name = 'GoldenError';

  constructor(message: string) {
    super('malformed', message);
  }
}

/** The bytes that lower-case hex stands for; an empty text is no bytes. */
export function bytesFromHex(text: string, what: string): Buffer {
  if (!/^(?:[0-9a-f]{2})*$/.test(text)) throw new GoldenError(`${what} is no lower-case hex: ${text.slice(0, 80)}`);
  return Buffer.from(text, 'hex');
}
