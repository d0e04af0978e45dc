/**
 * Every name that Permafrost uses in Redis.
 *
 * An archive's and a client's name are checked once, at `parseArchiveName` and `parseClientId`, and are brands from
 * then on: no other string gets into a queue name, a key or a path. The braces are Redis Cluster hash tags; BullMQ
 * forbids `:` in queue names. No two things share a name: an archive's name has no word `reply`, so the first one in
 * `{<archive>-reply-<client>}` is the separator.
 */
import type { Brand } from '../base/brand.ts';
import { ProtocolError } from './protocol-error.ts';

/** Lower-case letters, digits and hyphens, as in a DNS label. */
export type ArchiveName = Brand<string, 'ArchiveName'>;
/** Name of a reply address: a client, or a reply list. */
export type ClientId = Brand<string, 'ClientId'>;

/** The `prefix` of every BullMQ object. */
export const queuePrefix = 'permafrost';

export const archiveNameLengthMax = 40;
export const clientIdLengthMax = 64;
/** A shard's number is below this. */
export const shardCountMax = 4096;

/** Names of BullMQ jobs. Informative: what a job is follows from its queue. */
export const jobNames = { put: 'put', lookup: 'lookup', reply: 'reply', receipts: 'receipts' } as const;

const archivePattern = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;
const clientPattern = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/** The text as an archive's name; a ProtocolError `invalid-name` if it cannot be one. */
export function parseArchiveName(text: string): ArchiveName {
  if (!isArchiveName(text)) {
    const rule = `1 to ${archiveNameLengthMax} of a-z, 0-9 and inner hyphens, without the word "reply"`;
    throw new ProtocolError('invalid-name', `archive: not a name (${rule})`, { details: { field: 'archive' } });
  }
  return text;
}

/** The text as a client id; a ProtocolError `invalid-name` if it cannot be one. */
export function parseClientId(text: string): ClientId {
  if (!isClientId(text)) {
    const rule = `1 to ${clientIdLengthMax} of A-Z, a-z, 0-9, ".", "_" and "-", a letter or digit first`;
    throw new ProtocolError('invalid-name', `client id: not a name (${rule})`, { details: { field: 'client' } });
  }
  return text;
}

export function isArchiveName(text: string): text is ArchiveName {
  if (text.length > archiveNameLengthMax || !archivePattern.test(text)) return false;
  return !text.split('-').includes('reply');
}

export function isClientId(text: string): text is ClientId {
  return text.length <= clientIdLengthMax && clientPattern.test(text);
}

/** Queue of put jobs of a shard. */
export function putQueueName(archive: ArchiveName, shard: number): string {
  return `${shardTag(archive, shard)}-put`;
}

/** Queue of lookup jobs of a shard. */
export function lookupQueueName(archive: ArchiveName, shard: number): string {
  return `${shardTag(archive, shard)}-lookup`;
}

/** Queue that a client's worker takes replies and receipts from. */
export function replyQueueName(archive: ArchiveName, client: ClientId): string {
  return replyTag(archive, client);
}

/** List for readers that cannot run a BullMQ worker; holds the same messages as JSON text. */
export function replyListKey(archive: ArchiveName, list: ClientId): string {
  return `${queuePrefix}:${replyTag(archive, list)}:list`;
}

/** String that exists as long as the client lives. */
export function heartbeatKey(archive: ArchiveName, client: ClientId): string {
  return `${queuePrefix}:${replyTag(archive, client)}:heartbeat`;
}

/** Hash: the newest published checkpoint of a shard. */
export function checkpointKey(archive: ArchiveName, shard: number): string {
  return `${queuePrefix}:${shardTag(archive, shard)}:checkpoint`;
}

/** Capped stream: the shard's checkpoints so far. */
export function checkpointsKey(archive: ArchiveName, shard: number): string {
  return `${queuePrefix}:${shardTag(archive, shard)}:checkpoints`;
}

/** Who owns the shard now. */
export function leaseKey(archive: ArchiveName, shard: number): string {
  return `${queuePrefix}:${shardTag(archive, shard)}:lease`;
}

/** Generations of shard counts of an archive. */
export function topologyKey(archive: ArchiveName): string {
  return `${queuePrefix}:{${archive}}:topology`;
}

/** Glob for SCAN: one key of every reply queue of an archive. */
export function replyQueuePattern(archive: ArchiveName): string {
  return `${queuePrefix}:{${archive}-reply-*}:meta`;
}

/** The client whose reply queue the key belongs to, if it is one of this archive's. */
export function clientOfReplyKey(archive: ArchiveName, key: string): ClientId | undefined {
  const start = `${queuePrefix}:{${archive}-reply-`;
  const end = key.indexOf('}:', start.length);
  if (!key.startsWith(start) || end < 0) return undefined;
  const client = key.slice(start.length, end);
  return isClientId(client) ? client : undefined;
}

function shardTag(archive: ArchiveName, shard: number): string {
  checkShard(shard);
  return `{${archive}-${shard}}`;
}

function replyTag(archive: ArchiveName, client: ClientId): string {
  return `{${archive}-reply-${client}}`;
}

function checkShard(shard: number): void {
  if (Number.isInteger(shard) && shard >= 0 && shard < shardCountMax) return;
  throw new ProtocolError('invalid-name', `shard: not a number from 0 to ${shardCountMax - 1}`, {
    details: { field: 'shard', found: shard },
  });
}
