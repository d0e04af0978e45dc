import { present } from '../base/assert.ts';
import { codeOf } from '../base/errors.ts';
import type { Client } from '../client/client.ts';
import { ClientError } from '../client/client-error.ts';
import type { LookupAnswer } from '../client/lookups.ts';
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
    const versions = await this.#versions(records);
    const fresh = versions.flatMap((version, index) =>
      version.kept === undefined && versions.indexOf(version) === index ? present(records[index], 'a record') : [],
    );
    const stored = fresh.length === 0 ? [] : await this.#send(fresh, 'append');
    let next = 0;
    return versions.map((version) => {
      if (version.kept !== undefined) return version.kept;
      const receipt = present(stored[next++], 'a receipt');
      // Those of the same value that come right behind it find it there.
      version.kept = { ...receipt, outcome: 'unchanged' };
      return receipt;
    });
  }

  async #send(records: readonly ClientRecord[], ifExists: 'skip-same' | 'append'): Promise<readonly RecordReceipt[]> {
    const receipt = await this.#client.put(records, { ifExists, signal: this.#signal });
    return receipt.records;
  }

  /** The version that each record is: the one before it, in the archive or among the records, if that has the same value. */
  async #versions(records: readonly ClientRecord[]): Promise<readonly Version[]> {
    const keys = records.map(({ key }) => key);
    const answers = await this.#client.lookupMany(keys, { signal: this.#signal });
    const newest = new Map<string, Version>();
    return records.map(({ key, value }, index) => {
      const before = newest.get(key) ?? versionOf(key, present(answers[index], 'an answer'));
      const bytes = Buffer.from(value);
      const version = before?.value.equals(bytes) === true ? before : { value: bytes, kept: undefined };
      newest.set(key, version);
      return version;
    });
  }
}

/** One version of a key. */
interface Version {
  readonly value: Buffer;
  /** The receipt of a record that has this value again; undefined until the version is stored. */
  kept: RecordReceipt | undefined;
}

function versionOf(key: string, answer: LookupAnswer): Version | undefined {
  if (answer.outcome === 'missing') return undefined;
  if (answer.outcome !== 'found') throw answer.error;
  return { value: answer.value, kept: { key, cursor: answer.cursor ?? '', outcome: 'unchanged' } };
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
