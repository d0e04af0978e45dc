import { codeOf } from '../base/errors.ts';
import type { Client } from '../client/client.ts';
import { ClientError } from '../client/client-error.ts';
import type { ClientRecord } from '../client/record.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';

/** What is needed of a client here. */
export type ArchiveClient = Pick<Client, 'put' | 'lookupMany'>;

/** How many records were new, and how many were there already. */
export interface PutCounts {
  readonly stored: number;
  readonly unchanged: number;
}

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

  /** Resolves when all are on disk. Errors: those of the client. */
  async put(records: readonly ClientRecord[]): Promise<PutCounts> {
    if (!this.#severalHomes) {
      try {
        return await this.#send(records, 'skip-same');
      } catch (error) {
        if (!isOfSeveralHomes(error)) throw error;
        this.#severalHomes = true;
      }
    }
    const fresh = await this.#withoutSame(records);
    if (fresh.length === 0) return { stored: 0, unchanged: records.length };
    const { stored } = await this.#send(fresh, 'append');
    return { stored, unchanged: records.length - stored };
  }

  async #send(records: readonly ClientRecord[], ifExists: 'skip-same' | 'append'): Promise<PutCounts> {
    const receipt = await this.#client.put(records, { ifExists, signal: this.#signal });
    const stored = receipt.records.filter(({ outcome }) => outcome === 'stored').length;
    return { stored, unchanged: records.length - stored };
  }

  async #withoutSame(records: readonly ClientRecord[]): Promise<readonly ClientRecord[]> {
    const answers = await this.#client.lookupMany(
      records.map(({ key }) => key),
      { signal: this.#signal },
    );
    return records.filter(({ value }, index) => {
      const answer = answers[index];
      if (answer === undefined || answer.outcome === 'missing') return true;
      if (answer.outcome === 'found') return !answer.value.equals(Buffer.from(value));
      throw answer.error;
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
