import { jobNames } from '../protocol/names.ts';
import { type Receipt, receiptMessages } from '../protocol/receipts.ts';
import type { ReplyTo } from '../protocol/reply-address.ts';
import type { ReplySender } from './reply-sender.ts';

interface Group {
  readonly replyTo: ReplyTo;
  readonly receipts: Receipt[];
  readonly delivery: PromiseWithResolvers<void>;
}

const deliveryTimeoutMs = 30_000;

/**
 * Gathers receipts and sends those of one client together.
 *
 * All puts of a commit resolve in one turn of the event loop; what was added in a turn goes out at its end, one group
 * a client. So a client gets one message a commit, however many of its jobs it held.
 */
export class ReceiptBatch {
  readonly #sender: ReplySender;
  #groups = new Map<string, Group>();

  constructor(sender: ReplySender) {
    this.#sender = sender;
  }

  /** The client has put at this time of the wall clock; see `ReplySender.asked`. */
  asked(replyTo: ReplyTo, atMs: number): void {
    this.#sender.asked(replyTo, atMs);
  }

  /** Resolves when the receipt is in Redis, or was dropped. Never rejects. */
  add(replyTo: ReplyTo, receipt: Receipt): Promise<void> {
    const name = replyTo.kind === 'client' ? `client ${replyTo.client}` : `list ${replyTo.list}`;
    const group = this.#groups.get(name) ?? this.#open(name, replyTo);
    group.receipts.push(receipt);
    return group.delivery.promise;
  }

  #open(name: string, replyTo: ReplyTo): Group {
    if (this.#groups.size === 0) setImmediate(() => this.#sendAll());
    const group = { replyTo, receipts: [], delivery: Promise.withResolvers<void>() };
    this.#groups.set(name, group);
    return group;
  }

  #sendAll(): void {
    const groups = this.#groups;
    this.#groups = new Map();
    for (const { replyTo, receipts, delivery } of groups.values()) {
      const messages = [...receiptMessages(receipts)];
      void this.#sender
        .send(replyTo, { name: jobNames.receipts, messages }, deliveryTimeoutMs)
        .then(() => delivery.resolve());
    }
  }
}
