/**
 * Reading fields of untrusted JSON.
 *
 * Only own properties count, so `__proto__` in a message reaches nothing. `path` is where the value lies
 * (`records[3]`, or nothing for the message itself); errors name the field and never its content.
 */
import { ProtocolError, type ProtocolErrorCode } from './protocol-error.ts';

/** The version of every message in this contract. */
export const protocolVersion = 1;

export type JsonObject = Readonly<Record<string, unknown>>;

/** The value as an object: not an array, not null. */
export function readObject(value: unknown, path: string): JsonObject {
  if (isObject(value)) return value;
  throw refused('invalid-field', path === '' ? 'message' : path, 'not a JSON object');
}

/** The message's fields, if it is of version 1. */
export function readMessage(value: unknown): JsonObject {
  const message = readObject(value, '');
  const version = readField(message, 'v');
  if (version === undefined) throw refused('missing-field', 'v', 'missing');
  if (version === protocolVersion) return message;
  throw refused('unsupported-version', 'v', `not ${protocolVersion}, the only version known here`);
}

/** The field's value; `undefined` if it is not there. An inherited property is not there. */
export function readField(object: JsonObject, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

export function readString(object: JsonObject, name: string, path: string): string {
  const value = readOptionalString(object, name, path);
  if (value === undefined) throw refused('missing-field', join(path, name), 'missing');
  return value;
}

export function readOptionalString(object: JsonObject, name: string, path: string): string | undefined {
  const value = readField(object, name);
  if (value === undefined || typeof value === 'string') return value;
  throw refused('invalid-field', join(path, name), 'not a string');
}

export function readArray(object: JsonObject, name: string, path: string): readonly unknown[] {
  const value = readOptionalArray(object, name, path);
  if (value === undefined) throw refused('missing-field', join(path, name), 'missing');
  return value;
}

export function readOptionalArray(object: JsonObject, name: string, path: string): readonly unknown[] | undefined {
  const value = readField(object, name);
  if (value === undefined || Array.isArray(value)) return value;
  throw refused('invalid-field', join(path, name), 'not an array');
}

/** A whole number from 0 to 2^53 - 1. */
export function readCount(object: JsonObject, name: string, path: string): number {
  const value = readOptionalCount(object, name, path);
  if (value === undefined) throw refused('missing-field', join(path, name), 'missing');
  return value;
}

export function readOptionalCount(object: JsonObject, name: string, path: string): number | undefined {
  const value = readField(object, name);
  if (value === undefined || isCount(value)) return value;
  throw refused('invalid-field', join(path, name), 'not a whole number from 0 to 2^53 - 1');
}

export function readOptionalBoolean(object: JsonObject, name: string, path: string): boolean | undefined {
  const value = readField(object, name);
  if (value === undefined || typeof value === 'boolean') return value;
  throw refused('invalid-field', join(path, name), 'not true or false');
}

/** One of the words; `undefined` if the field is not there. */
export function readOptionalWord<Word extends string>(
  object: JsonObject,
  name: string,
  path: string,
  words: readonly Word[],
): Word | undefined {
  const value = readField(object, name);
  if (value === undefined) return undefined;
  const word = words.find((candidate) => candidate === value);
  if (word !== undefined) return word;
  throw refused('invalid-field', join(path, name), `not one of ${words.join(', ')}`);
}

export function refused(code: ProtocolErrorCode, field: string, reason: string): ProtocolError {
  return new ProtocolError(code, `${field}: ${reason}`, { details: { field } });
}

/** `records[3]` and `value` make `records[3].value`. */
export function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
