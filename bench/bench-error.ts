import { PermafrostError } from '../src/base/errors.ts';

/** Options of a benchmark that cannot be followed. */
export class BenchError extends PermafrostError<'invalid-options'> {
  override readonly name = 'BenchError';

  constructor(message: string) {
    super('invalid-options', message);
  }
}
