import { present } from '../base/assert.ts';
import { codeOf } from '../base/errors.ts';
import type { Client } from '../client/client.ts';
import { ClientError } from '../client/client-error.ts';
import type { RecordReceipt } from '../client/puts.ts';
import type { ClientRecord } from '../client/record.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';

/** What is needed of a client here. */
export type ArchiveClient = Pick<Client, 'put' | 'lookupMany'>;

/**
 * Puts records such that doing it again stores nothing twice.
 *
 * The archive itself compares with the newest version (`skip-same`), unless a key may live on more than one shard: then
 * it refuses to, and the comparison is made here, by a lookup.
 */
export class RecordPutter {
  readonly #client: ArchiveClient;
  readonly #signal: AbortSignal | undefined;
  #severalHomes = false;

  constructor(client: ArchiveClient, signal?: AbortSignal) {
    this.#client = client;
    this.#signal = signal;
  }

  /** Resolves when all are on disk, with a receipt for each, in their order. Errors: those of the client. */
  async put(records: readonly ClientRecord[]): Promise<readonly RecordReceipt[]> {
    if (!this.#severalHomes) {
      try {
        return await this.#send(records, 'skip-same');
      } catch (error) {
        if (!isOfSeveralHomes(error)) throw error;
        this.#severalHomes = true;
      }
    }
    const known = await this.#same(records);
    const fresh = records.filter((_, index) => known[index] === undefined);
    const stored = fresh.length === 0 ? [] : await this.#send(fresh, 'append');
    let next = 0;
    return known.map((receipt) => receipt ?? present(stored[next++], 'a receipt'));
  }

  async #send(records: readonly ClientRecord[], ifExists: 'skip-same' | 'append'): Promise<readonly RecordReceipt[]> {
    const receipt = await this.#client.put(records, { ifExists, signal: this.#signal });
    return receipt.records;
  }

  /** A receipt for each record whose key has the same value already. */
  async #same(records: readonly ClientRecord[]): Promise<readonly (RecordReceipt | undefined)[]> {
    const keys = records.map(({ key }) => key);
    const answers = await this.#client.lookupMany(keys, { signal: this.#signal });
    return records.map(({ key, value }, index) => {
      const answer = present(answers[index], 'an answer');
      if (answer.outcome === 'missing') return undefined;
      if (answer.outcome !== 'found') throw answer.error;
      if (!answer.value.equals(Buffer.from(value))) return undefined;
      return { key, cursor: answer.cursor ?? '', outcome: 'unchanged' };
    });
  }
}

/** Whether the records are the reason, not the surroundings: trying them again cannot help, and others may do well. */
export function isRefusal(error: unknown): boolean {
  if (error instanceof ProtocolError) return true;
  return error instanceof ClientError && error.code === 'refused' && !error.retriable;
}

function isOfSeveralHomes(error: unknown): boolean {
  if (codeOf(error) === 'several-homes') return true;
  return error instanceof ClientError && error.details.reason === 'several-homes';
}
