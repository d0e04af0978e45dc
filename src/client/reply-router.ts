import { Counter } from '../base/counter.ts';
import type { WireError } from '../protocol/protocol-error.ts';
import type { Receipt, Stored } from '../protocol/receipts.ts';
import type { LookupResult, Reply } from '../protocol/reply.ts';
import type { ReplyMessage } from '../protocol/reply-message.ts';
import type { Call, PendingCall } from './call.ts';
import { ClientError } from './client-error.ts';

interface PendingLookup {
  readonly call: Call<readonly LookupResult[]>;
  readonly parts: Map<number, readonly LookupResult[]>;
  partCount: number | undefined;
}

/**
 * Brings each answer to the call that waits for it.
 *
 * Delivery is at least once and in no order: parts are put in order, and what belongs to no pending call (answered,
 * expired, aborted, or never asked) is dropped and counted. A call leaves the router when it is settled.
 */
export class ReplyRouter {
  /** Parts and receipts that no call waited for. */
  readonly dropped = new Counter();
  readonly #puts = new Map<string, Call<Stored>>();
  readonly #lookups = new Map<string, PendingLookup>();
  readonly #callCountMax: number;

  constructor(callCountMax: number) {
    this.#callCountMax = callCountMax;
  }

  get pendingCount(): number {
    return this.#puts.size + this.#lookups.size;
  }

  /** Takes the receipt of this put for the call. A call that cannot be taken is rejected; the result says so. */
  expectReceipt(id: string, shard: number, call: Call<Stored>): boolean {
    const name = `${shard}/${id}`;
    if (this.#puts.has(name)) {
      call.reject(new ClientError('duplicate-id', 'a put with this id is pending already'));
      return false;
    }
    if (!this.#admit(call)) return false;
    this.#puts.set(name, call);
    call.onSettled(() => this.#puts.delete(name));
    return true;
  }

  /** Takes the reply to this lookup for the call. A call that cannot be taken is rejected; the result says so. */
  expectReply(id: string, call: Call<readonly LookupResult[]>): boolean {
    if (!this.#admit(call)) return false;
    this.#lookups.set(id, { call, parts: new Map(), partCount: undefined });
    call.onSettled(() => this.#lookups.delete(id));
    return true;
  }

  deliver(message: ReplyMessage): void {
    if (message.kind === 'reply') this.#deliverReply(message.reply);
    else for (const receipt of message.receipts) this.#deliverReceipt(receipt);
  }

  /** Rejects all that is pending. */
  rejectAll(error: Error): void {
    for (const call of [...this.#puts.values()]) call.reject(error);
    for (const { call } of [...this.#lookups.values()]) call.reject(error);
  }

  #admit(call: PendingCall): boolean {
    const max = this.#callCountMax;
    const found = this.pendingCount;
    if (call.settled) return false;
    if (found < max) return true;
    const message = `${found} calls are pending, the limit callCountMax is ${max}`;
    call.reject(
      new ClientError('too-many-calls', message, { retriable: true, details: { limit: 'callCountMax', max, found } }),
    );
    return false;
  }

  #deliverReceipt(receipt: Receipt): void {
    const call = this.#puts.get(`${receipt.shard}/${receipt.id}`);
    if (call === undefined) this.dropped.add();
    else if ('error' in receipt) call.reject(refusal(receipt.error));
    else call.resolve(receipt);
  }

  #deliverReply(reply: Reply): void {
    const lookup = this.#lookups.get(reply.id);
    if (lookup === undefined || lookup.parts.has(reply.part)) {
      this.dropped.add();
      return;
    }
    if (reply.error !== undefined) {
      lookup.call.reject(refusal(reply.error));
      return;
    }
    lookup.parts.set(reply.part, reply.results);
    if (reply.last) lookup.partCount = reply.part + 1;
    if (lookup.parts.size === lookup.partCount) lookup.call.resolve(inOrder(lookup.parts));
  }
}

function inOrder(parts: ReadonlyMap<number, readonly LookupResult[]>): readonly LookupResult[] {
  return [...parts.entries()].sort(([left], [right]) => left - right).flatMap(([, results]) => results);
}

function refusal(error: WireError): ClientError {
  const retriable = error.code === 'unavailable';
  return new ClientError('refused', `refused (${error.code}): ${error.message}`, {
    retriable,
    details: { reason: error.code, limit: error.limit },
  });
}
