import { parseArchiveName } from '../protocol/names.ts';
import { parseShardList } from './shard-list.ts';

/** What a setting may be: each format throws with what it expects, never with the value (it may be a secret). */
export interface Format {
  (value: unknown): void;
  /** The numbers that pass, where numbers are asked for. */
  readonly range?: NumberRange;
}

/** A closed range of whole numbers. */
export interface NumberRange {
  readonly min: number;
  readonly max: number;
  readonly powersOfTwo: boolean;
}

/** A whole number in a closed range. */
export function integerBetween(min: number, max: number): Format {
  const check = (value: unknown): void => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return;
    throw new Error(`must be a whole number from ${min} to ${max}`);
  };
  return Object.assign(check, { range: { min, max, powersOfTwo: false } });
}

/** As `integerBetween`, and a power of two. */
export function powerOfTwoBetween(min: number, max: number): Format {
  const integer = integerBetween(min, max);
  const check = (value: unknown): void => {
    integer(value);
    if (!Number.isInteger(Math.log2(Number(value)))) throw new Error(`must be a power of two from ${min} to ${max}`);
  };
  return Object.assign(check, { range: { min, max, powersOfTwo: true } });
}

/** A string that is not empty. */
export function nonEmpty(value: unknown): void {
  if (typeof value !== 'string' || value === '') throw new Error('must not be empty');
}

/** Any string, the empty one included: it stands for "not given". */
export function text(value: unknown): void {
  if (typeof value !== 'string') throw new Error('must be a string');
}

/** What fits into an HTTP header as one word, or the empty string: it stands for "not given". */
export function token(value: unknown): void {
  if (typeof value !== 'string' || !/^[\x21-\x7e]{0,1024}$/.test(value)) {
    throw new Error('must be up to 1024 printable characters of ASCII without spaces');
  }
}

/** `redis://` or `rediss://` with a host. */
export function redisUrl(value: unknown): void {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !['redis:', 'rediss:'].includes(url.protocol) || url.hostname === '') {
    throw new Error('must be redis://host:port or rediss://host:port (with TLS)');
  }
}

/** An archive's name: it becomes part of queue names and of Redis keys. */
export function archiveName(value: unknown): void {
  text(value);
  parseArchiveName(String(value));
}

/** Numbers of shards, or the empty text for "not given". */
export function shardList(value: unknown): void {
  text(value);
  if (value !== '' && parseShardList(String(value)) === undefined) {
    throw new Error('must be numbers and ranges of shards, each shard once, as in 0-3 or 0,2,5');
  }
}

/** `host:port` of one or more nodes, or the empty text for "not given". */
export function clusterNodes(value: unknown): void {
  text(value);
  const isNode = (node: string): boolean => /^[^\s@/]+:\d{1,5}$/.test(node) && URL.canParse(`redis://${node}`);
  if (value !== '' && !String(value).split(',').every(isNode)) throw new Error('must be host:port,host:port,…');
}
