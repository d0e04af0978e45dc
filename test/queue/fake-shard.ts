import { createHash } from 'node:crypto';
import type { ShardPort } from '../../src/queue/shard-port.ts';
import type { Answer, FoundRecord, Question } from '../../src/shard/lookup.ts';
import type { PutRequest, PutResult } from '../../src/shard/put-request.ts';

interface Waiting {
  readonly request: PutRequest;
  readonly resolve: (stored: PutResult) => void;
  readonly reject: (error: unknown) => void;
}

/** A shard in memory whose commits happen when the test says so (or at once, with `autoCommit`). */
export class FakeShard implements ShardPort {
  readonly requests: PutRequest[] = [];
  readonly stored = new Map<string, FoundRecord>();
  readonly #waiting: Waiting[] = [];
  readonly #arrivals: { readonly count: number; readonly resolve: () => void }[] = [];
  autoCommit = false;
  commits = 0;
  failWith: unknown;

  put(request: PutRequest): Promise<PutResult> {
    return new Promise((resolve, reject) => {
      this.requests.push(request);
      this.#waiting.push({ request, resolve, reject });
      if (this.failWith !== undefined) this.fail(this.failWith);
      else if (this.autoCommit) this.commit();
      for (const arrival of this.#arrivals) if (this.requests.length >= arrival.count) arrival.resolve();
    });
  }

  async lookupMany(questions: readonly Question[]): Promise<readonly Answer[]> {
    return questions.map((question): Answer => {
      if ('key' in question) return this.stored.get(question.key) ?? { kind: 'missing' };
      const byCursor = [...this.stored.values()].find(({ cursor }) => cursor.equals(question.cursor));
      return byCursor ?? { kind: 'invalid', error: new Error('no such cursor') };
    });
  }

  /** Makes all that waits durable. */
  commit(): void {
    this.commits += 1;
    for (const { request, resolve } of this.#waiting.splice(0)) resolve(this.#store(request));
  }

  fail(error: unknown): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  /** Resolves when so many puts have arrived in all. */
  arrived(count: number): Promise<void> {
    if (this.requests.length >= count) return Promise.resolve();
    return new Promise((resolve) => {
      this.#arrivals.push({ count, resolve });
    });
  }

  #store(request: PutRequest): PutResult {
    const records = request.records.map(({ key, payload }, recordIndex) => {
      const cursor = createHash('sha1').update(`${request.putId} ${recordIndex}`).digest();
      const there = this.stored.get(key);
      if (request.redelivered && there?.cursor.equals(cursor)) return { cursor, outcome: 'unchanged' as const };
      const facts = { key, payload, putId: request.putId, recordIndex, archivedAtMs: 1_700_000_000_000 };
      this.stored.set(key, { kind: 'found', cursor, ...facts });
      return { cursor, outcome: 'stored' as const };
    });
    return { commit: this.commits, records };
  }
}
