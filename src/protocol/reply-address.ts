import { type JsonObject, readField, readObject, refused } from './fields.ts';
import type { ProtocolLimits } from './limits.ts';
import { checkLimit } from './limits.ts';
import { type ClientId, isClientId } from './names.ts';

/** Where replies and receipts go: the reply queue of a client, or a list in Redis. */
export type ReplyTo =
  | { readonly kind: 'client'; readonly client: ClientId }
  | { readonly kind: 'list'; readonly list: ClientId };

export type ReplyToWire = string | { readonly list: string };

/** Whom to answer, and under which id. */
export interface ReplyAddress {
  readonly id: string;
  readonly replyTo: ReplyTo;
}

const idPattern = /^[\x21-\x7e]+$/;

/** The job's `id`, which can stand in logs. */
export function readId(message: JsonObject, limits: ProtocolLimits): string | undefined {
  const id = readField(message, 'id');
  if (id === undefined) return undefined;
  if (typeof id !== 'string') throw refused('invalid-field', 'id', 'not a string');
  checkId(id, limits);
  return id;
}

/** Refuses what cannot be an id: it is printable ASCII without blanks. */
export function checkId(id: string, limits: ProtocolLimits): void {
  checkLimit(limits, 'idLengthMax', id.length, 'id');
  if (!idPattern.test(id))
    throw refused('invalid-field', 'id', 'not printable ASCII without blanks, at least one character');
}

/** The job's `replyTo`; anything but a client id or `{"list": <name>}` is a ProtocolError `invalid-reply-to`. */
export function readReplyTo(message: JsonObject): ReplyTo | undefined {
  const value = readField(message, 'replyTo');
  if (value === undefined) return undefined;
  if (typeof value === 'string') return { kind: 'client', client: replyName(value, 'replyTo') };
  if (typeof value !== 'object' || value === null) {
    throw refused('invalid-reply-to', 'replyTo', 'neither a client id nor {"list": <name>}');
  }
  const list = readField(readObject(value, 'replyTo'), 'list');
  if (typeof list !== 'string')
    throw refused('invalid-reply-to', 'replyTo', 'neither a client id nor {"list": <name>}');
  return { kind: 'list', list: replyName(list, 'replyTo.list') };
}

/**
 * Whom to tell that a message was refused; `undefined` if its `replyTo` is wrong, or not there. The id is as it was
 * sent, for it may be what was wrong: cut to `idLengthMax`, and empty where there was no text. Never throws.
 */
export function addressOf(value: unknown, limits: ProtocolLimits): ReplyAddress | undefined {
  try {
    const message = readObject(value, '');
    const replyTo = readReplyTo(message);
    return replyTo === undefined ? undefined : { id: sentId(message, limits), replyTo };
  } catch {
    return undefined;
  }
}

function sentId(message: JsonObject, { idLengthMax }: ProtocolLimits): string {
  const id = readField(message, 'id');
  return typeof id === 'string' ? id.slice(0, idLengthMax) : '';
}

export function encodeReplyTo(replyTo: ReplyTo): ReplyToWire {
  return replyTo.kind === 'client' ? replyTo.client : { list: replyTo.list };
}

function replyName(text: string, field: string): ClientId {
  if (isClientId(text)) return text;
  throw refused('invalid-reply-to', field, 'not the name of a client or list (see "Names")');
}
