import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import {
  type ArchiveName,
  lookupQueueName,
  parseArchiveName,
  parseClientId,
  putQueueName,
  queuePrefix,
  replyListKey,
} from '../../src/protocol/names.ts';
import { decodeReplyMessage, type ReplyMessage } from '../../src/protocol/reply-message.ts';

/** A producer and reader without the client library: jobs from hand, answers from a reply list. */
export class Producer {
  readonly redis: Redis;
  readonly puts: Queue;
  readonly lookups: Queue;
  readonly #archive: ArchiveName;
  readonly #list: string;

  constructor(url: string, archive: string, list = 'test', shard = 0) {
    this.#archive = parseArchiveName(archive);
    this.#list = list;
    this.redis = new Redis(url, { maxRetriesPerRequest: null, retryStrategy: () => 50 });
    const options = { connection: this.redis, prefix: queuePrefix };
    this.puts = new Queue(putQueueName(this.#archive, shard), options);
    this.lookups = new Queue(lookupQueueName(this.#archive, shard), options);
    for (const emitter of [this.redis, this.puts, this.lookups]) emitter.on('error', () => {});
  }

  /** Queues a put of records with these texts by key; its receipt comes to the list. */
  async put(id: string, texts: Readonly<Record<string, string>>): Promise<void> {
    const records = Object.entries(texts).map(([key, text]) => ({ key, text }));
    await this.puts.add('put', { v: 1, id, replyTo: { list: this.#list }, records });
  }

  async lookup(id: string, keys: readonly string[]): Promise<void> {
    const deadline = Date.now() + 60_000;
    await this.lookups.add('lookup', { v: 1, id, replyTo: { list: this.#list }, keys, deadline });
  }

  /** The next message on the list. */
  async next(): Promise<ReplyMessage> {
    const popper = this.redis.duplicate();
    popper.on('error', () => {});
    try {
      const [, text] = (await popper.blpop(replyListKey(this.#archive, parseClientId(this.#list)), 60)) ?? [];
      if (text === undefined) throw new Error('no message within 60 s');
      return decodeReplyMessage(JSON.parse(text));
    } finally {
      popper.disconnect();
    }
  }

  /** Messages that wait on the list. */
  pending(): Promise<number> {
    return this.redis.llen(replyListKey(this.#archive, parseClientId(this.#list)));
  }

  /** Receipts of so many puts; an id may come more than once. */
  async receipts(ids: ReadonlySet<string>): Promise<void> {
    const missing = new Set(ids);
    while (missing.size > 0) for (const id of await this.#someReceipts()) missing.delete(id);
  }

  /** The ids in the next message, which must be of receipts; a refusal is an error. */
  async #someReceipts(): Promise<readonly string[]> {
    const message = await this.next();
    if (message.kind !== 'receipts') throw new Error('a reply, where receipts were due');
    for (const receipt of message.receipts) if ('error' in receipt) throw new Error(receipt.error.message);
    return message.receipts.map(({ id }) => id);
  }

  /** Looks keys up; gives the texts of those that were found. */
  async read(keys: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const texts = new Map<string, string>();
    await this.lookup('read', keys);
    for (let last = false; !last; ) {
      const message = await this.next();
      if (message.kind !== 'reply') continue;
      last = message.reply.last;
      for (const { key, value } of message.reply.results) if (key && value) texts.set(key, value.toString());
    }
    return texts;
  }

  async close(): Promise<void> {
    await this.puts.close();
    await this.lookups.close();
    this.redis.disconnect();
  }
}
