import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { checkLimit, type ProtocolLimits } from './limits.ts';
import { ProtocolError } from './protocol-error.ts';

/** A record's key in its two forms. */
export interface RecordKey {
  readonly key: string;
  /** What the archive files it under. */
  readonly storedKey: Buffer;
}

/** Bytes of a key as the archive stores it. */
export const storedKeySize = 32;

/** SHA-256 of the key's UTF-8 bytes. A key with a lone surrogate has no UTF-8 form: ProtocolError `invalid-text`. */
export function storedKeyOf(key: string): Buffer {
  checkWellFormed(key, 'key');
  return sha256(key);
}

/** Shard that a stored key is put to: its IEEE CRC-32, scaled to the number of shards. */
export function shardOf(storedKey: Uint8Array, shardCount: number): number {
  return Math.floor((crc32(storedKey) * shardCount) / 2 ** 32);
}

/** The key of a message in both forms, if it is within the limit and has a UTF-8 form. */
export function readKey(key: string, field: string, limits: ProtocolLimits): RecordKey {
  checkKey(key, field, limits);
  return { key, storedKey: sha256(key) };
}

/** Refuses a key that is too long or has no UTF-8 form. */
export function checkKey(key: string, field: string, limits: ProtocolLimits): void {
  checkLimit(limits, 'keyBytesMax', Buffer.byteLength(key), field);
  checkWellFormed(key, field);
}

/** Refuses a text that has no UTF-8 form. */
export function checkWellFormed(text: string, field: string): void {
  if (text.isWellFormed()) return;
  throw new ProtocolError('invalid-text', `${field}: holds a lone surrogate, which UTF-8 cannot express`, {
    details: { field },
  });
}

/** By way of a string, so that the bytes lie in a shared pool: memory of their own costs twice as much as the hash. */
function sha256(text: string): Buffer {
  return Buffer.from(hash('sha256', text, 'binary'), 'latin1');
}
