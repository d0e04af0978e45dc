import assert from 'node:assert/strict';
import { ProtocolError, type ProtocolErrorCode } from '../../src/protocol/protocol-error.ts';

/** Runs `work`, which must throw a ProtocolError of this code, about this field; gives the error. */
export function assertRefused(code: ProtocolErrorCode, field: string, work: () => unknown): ProtocolError {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof ProtocolError, `not a ProtocolError: ${error}`);
    assert.deepEqual({ code: error.code, field: error.details.field }, { code, field });
    return error;
  }
  return assert.fail(`not refused, expected ${code} for ${field}`);
}
