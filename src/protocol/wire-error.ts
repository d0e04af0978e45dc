import { type JsonObject, readField, readObject, readOptionalString, readString } from './fields.ts';
import type { ProtocolError, WireError } from './protocol-error.ts';

/** The error's code, text and limit, in the form that travels. */
export function toWireError(error: ProtocolError): WireError {
  const limit = error.details.limit;
  const wire = { code: error.code, message: error.message };
  return typeof limit === 'string' ? { ...wire, limit } : wire;
}

/** The field `error` of a message; `undefined` if it is not there. */
export function readOptionalWireError(object: JsonObject, path: string): WireError | undefined {
  const value = readField(object, 'error');
  if (value === undefined) return undefined;
  const at = path === '' ? 'error' : `${path}.error`;
  const error = readObject(value, at);
  const code = readString(error, 'code', at);
  const message = readString(error, 'message', at);
  const limit = readOptionalString(error, 'limit', at);
  return limit === undefined ? { code, message } : { code, message, limit };
}
