import assert from 'node:assert/strict';
import type { Client } from '../../src/client/client.ts';
import type { LookupAnswer } from '../../src/client/lookups.ts';

/** The last version of a key that has a receipt, and where each version is. */
interface Acknowledged {
  version: number;
  readonly cursors: Map<number, string>;
}

const keyCount = 60;
const lanes = 6;

/** What was acknowledged when a lookup began. */
interface Expectation {
  readonly key: string;
  readonly version: number;
}

/**
 * A client that puts without end, version after version of the keys of its own, and keeps what was acknowledged.
 *
 * A key's next version is put only after the receipt of the one before: so the newest version that exists is the last one
 * acknowledged, or one after it that is on its way.
 */
export class Load {
  readonly name: string;
  readonly #client: Client;
  readonly #keys = new Map<string, Acknowledged>();
  readonly #waiting = new Set<{ readonly count: number; readonly resolve: () => void }>();
  #running: Promise<void>[] = [];
  #stopped = false;
  #receiptCount = 0;

  constructor(name: string, client: Client) {
    this.name = name;
    this.#client = client;
  }

  start(): void {
    this.#running = Array.from({ length: lanes }, (_, lane) => this.#putOn(lane));
  }

  /** Resolves after so many receipts more. */
  async acknowledged(more: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add({ count: this.#receiptCount + more, resolve });
    await Promise.race([promise, Promise.all(this.#running).then(() => assert.fail(`${this.name} ended`))]);
  }

  /** No new puts; resolves when those on their way have their receipts. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  /** All keys with a receipt, each with the version that must be found at least. */
  expectations(): readonly Expectation[] {
    return [...this.#keys].map(([key, { version }]) => ({ key, version }));
  }

  /** Every place of every version, with what lies there. */
  places(): readonly { readonly cursor: string; readonly value: string }[] {
    return [...this.#keys].flatMap(([key, { cursors }]) =>
      [...cursors].map(([version, cursor]) => ({ cursor, value: textOf(key, version) })),
    );
  }

  async #putOn(lane: number): Promise<void> {
    for (let turn = 0; !this.#stopped; turn += 1) {
      const key = `${this.name}/${(turn * lanes + lane) % keyCount}`;
      const known = this.#keys.get(key) ?? { version: 0, cursors: new Map() };
      const version = known.version + 1;
      const { records } = await this.#client.put({ key, value: textOf(key, version) });
      known.version = version;
      known.cursors.set(version, records[0]?.cursor ?? '');
      this.#keys.set(key, known);
      this.#receiptCount += 1;
      for (const waiter of this.#waiting) if (waiter.count <= this.#receiptCount) waiter.resolve();
    }
  }
}

/** Checks an answer: the version that was acknowledged before the question, or a newer one. */
export function checkFound({ key, version }: Expectation, answer: LookupAnswer | undefined): void {
  assert.equal(answer?.outcome, 'found', key);
  const [found, number] = answer.value.toString().split('#');
  assert.equal(found, key);
  assert.ok(Number(number) >= version, `${key}: found version ${number}, ${version} was acknowledged before`);
}

function textOf(key: string, version: number): string {
  return `${key}#${version}`;
}
