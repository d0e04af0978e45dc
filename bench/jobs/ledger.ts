/**
 * What the finished jobs were, read with plain Redis commands, and the comparison with what is in the archive.
 *
 * Nothing of it goes through the code that archives: a mistake there shows here.
 */
import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { Client } from '../../src/client/client.ts';
import { recordKey } from '../../src/jobs/archive-key.ts';
import { findJob } from '../../src/jobs/job-finder.ts';
import { queueAddress } from '../../src/jobs/queue-address.ts';
import { type Shape, shapes } from './mixture.ts';

interface Entry {
  readonly shape: Shape;
  readonly finishedOn: number;
  /** Of everything that the job was. */
  readonly digest: string;
  readonly bytes: number;
}

export interface Comparison {
  /** Jobs that are in the archive as they were, and not in Redis any more. */
  readonly moved: number;
  /** Jobs that are in Redis still, by shape. */
  readonly left: Readonly<Partial<Record<Shape, number>>>;
  /** Jobs that are in neither, or not as they were. */
  readonly lost: number;
}

const together = 100;

export class Ledger {
  readonly #queue: string;
  readonly #entries = new Map<string, Entry>();

  constructor(queue: string) {
    this.#queue = queue;
  }

  get jobCount(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return [...this.#entries.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  get byShape(): Readonly<Partial<Record<Shape, number>>> {
    return counted([...this.#entries.values()]);
  }

  /** Writes down every finished job of the queue that it does not have yet. */
  async take(redis: Redis): Promise<void> {
    for (const state of ['completed', 'failed']) {
      const ids = await redis.zrange(`bull:${this.#queue}:${state}`, '0', '-1');
      for (const part of parts(ids.filter((id) => !this.#entries.has(id)))) await this.#takePart(redis, part);
    }
  }

  async compare(redis: Redis, client: Client): Promise<Comparison> {
    const left: Entry[] = [];
    let moved = 0;
    let lost = 0;
    for (const part of parts([...this.#entries.keys()])) {
      const { present, absent } = await this.#split(redis, part);
      left.push(...present);
      const found = await this.#matching(client, absent);
      moved += found;
      lost += absent.length - found;
    }
    return { moved, left: counted(left), lost };
  }

  async #takePart(redis: Redis, ids: readonly string[]): Promise<void> {
    const pipeline = redis.pipeline();
    for (const id of ids) pipeline.hgetall(this.#key(id)).lrange(`${this.#key(id)}:logs`, '0', '-1');
    const replies = (await pipeline.exec()) ?? [];
    for (const [index, id] of ids.entries()) {
      const hash = replies[2 * index]?.[1] as Readonly<Record<string, string>>;
      const logs = replies[2 * index + 1]?.[1] as readonly string[];
      this.#entries.set(id, {
        shape: shapes.find((shape) => shape === hash.name) ?? 'small',
        finishedOn: Number(hash.finishedOn),
        digest: digestOf(valuesOfHash(hash, logs)),
        bytes: Object.entries(hash).reduce((sum, [name, value]) => sum + name.length + value.length, 0),
      });
    }
  }

  async #split(redis: Redis, ids: readonly string[]): Promise<{ present: Entry[]; absent: string[] }> {
    const pipeline = redis.pipeline();
    for (const id of ids) pipeline.exists(this.#key(id));
    const replies = (await pipeline.exec()) ?? [];
    const isPresent = (_: string, index: number): boolean => replies[index]?.[1] === 1;
    const present = ids.filter(isPresent).flatMap((id) => this.#entries.get(id) ?? []);
    return { present, absent: ids.filter((id, index) => !isPresent(id, index)) };
  }

  async #matching(client: Client, ids: readonly string[]): Promise<number> {
    const address = queueAddress(this.#queue);
    const entries = ids.map((id) => ({ id, entry: this.#entries.get(id) }));
    const answers = await client.lookupMany(
      entries.map(({ id, entry }) => recordKey(address, id, entry?.finishedOn ?? 0)),
    );
    let count = 0;
    for (const [index, { id, entry }] of entries.entries()) {
      const answer = answers[index];
      if (answer?.outcome !== 'found') continue;
      let document = JSON.parse(answer.value.toString());
      if (document.kind === 'bullmq-job-parts') document = (await findJob(client, address, id))?.members;
      if (digestOf(valuesOfDocument(document)) === entry?.digest) count++;
    }
    return count;
  }

  #key(id: string): string {
    return `bull:${this.#queue}:${id}`;
  }
}

function valuesOfHash(hash: Readonly<Record<string, string>>, logs: readonly string[]): readonly unknown[] {
  const json = (text: string | undefined): unknown => (text === undefined ? undefined : JSON.parse(text));
  const { name, data, opts, returnvalue, failedReason, stacktrace, timestamp, processedOn, finishedOn, atm } = hash;
  const values = [json(data), json(opts), json(returnvalue), failedReason, json(stacktrace)];
  return [
    name,
    ...values,
    Number(timestamp),
    Number(processedOn),
    Number(finishedOn),
    Number(atm),
    hash.parentKey,
    logs,
  ];
}

function valuesOfDocument(job: Readonly<Record<string, unknown>>): readonly unknown[] {
  const { name, data, opts, returnvalue, failedReason, stacktrace, timestamp, processedOn, finishedOn } = job;
  const values = [data, opts, returnvalue, failedReason, stacktrace, timestamp, processedOn, finishedOn];
  return [name, ...values, job.attemptsMade, job.parentKey, job.logs];
}

function digestOf(values: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(values)).digest('base64');
}

function counted(entries: readonly Entry[]): Readonly<Partial<Record<Shape, number>>> {
  const counts: Partial<Record<Shape, number>> = {};
  for (const { shape } of entries) counts[shape] = (counts[shape] ?? 0) + 1;
  return counts;
}

function* parts(ids: readonly string[]): Generator<readonly string[]> {
  for (let from = 0; from < ids.length; from += together) yield ids.slice(from, from + together);
}
