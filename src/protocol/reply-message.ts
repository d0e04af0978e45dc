import { readField, readMessage, refused } from './fields.ts';
import { decodeReceipts, type Receipt } from './receipts.ts';
import { decodeReply, type Reply } from './reply.ts';

/** What arrives on a reply queue or list. */
export type ReplyMessage =
  | { readonly kind: 'reply'; readonly reply: Reply }
  | { readonly kind: 'receipts'; readonly receipts: readonly Receipt[] };

/** The message by its content: it has `results` or `receipts`. Errors: ProtocolError. */
export function decodeReplyMessage(value: unknown): ReplyMessage {
  const message = readMessage(value);
  if (readField(message, 'receipts') !== undefined) return { kind: 'receipts', receipts: decodeReceipts(value) };
  if (readField(message, 'results') !== undefined) return { kind: 'reply', reply: decodeReply(value) };
  throw refused('missing-field', 'results', 'neither results nor receipts');
}
