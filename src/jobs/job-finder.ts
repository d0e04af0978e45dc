import type { Client } from '../client/client.ts';
import type { FoundRecord } from '../client/lookups.ts';
import { newestKey, partKey, recordKey } from './archive-key.ts';
import { damaged, decodeIndex, decodeRecord, type JobEnd, type JobManifest, joinParts } from './archived-job.ts';
import { parseExactly } from './exact-json.ts';
import type { FinishedState, QueueAddress } from './queue-address.ts';

/** What finding needs of a client. */
export type LookupClient = Pick<Client, 'lookup' | 'lookupMany'>;

/** A job out of the archive. */
export interface FoundJob {
  readonly end: JobEnd;
  readonly state: FinishedState;
  /** The key of its record, and where that lies. */
  readonly key: string;
  readonly cursor: string | undefined;
  /** When it was archived, in milliseconds since the Unix epoch. */
  readonly archivedMs: number | undefined;
  /** The document, as it was archived. */
  readonly document: string;
  /** The same, read. Numbers that JavaScript cannot hold are kept as they were written. */
  readonly members: Readonly<Record<string, unknown>>;
}

export interface FindOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
}

/** When jobs with this id ended, the newest first; empty if the archive has none. Errors: JobsError, ClientError. */
export async function endsOfJob(
  client: LookupClient,
  address: QueueAddress,
  id: string,
  options: FindOptions = {},
): Promise<readonly number[]> {
  const found = await client.lookup(newestKey(address, id), options);
  return found === undefined ? [] : decodeIndex(found.value, address, id).finishedOn;
}

/**
 * The job with this id that ended at the time; without one, the newest. `undefined` if the archive has none. Errors:
 * JobsError `damaged-record`, ClientError.
 */
export async function findJob(
  client: LookupClient,
  address: QueueAddress,
  id: string,
  { finishedOn, ...options }: FindOptions & { readonly finishedOn?: number | undefined } = {},
): Promise<FoundJob | undefined> {
  const times = finishedOn === undefined ? await endsOfJob(client, address, id, options) : [finishedOn];
  for (const time of times) {
    const end = { address, id, finishedOn: time };
    const found = await client.lookup(recordKey(address, id, time), options);
    // An index may be on disk before the record that a crash has kept from it: then the job is in Redis still.
    if (found !== undefined) return jobOf(client, end, found, options);
  }
  return undefined;
}

async function jobOf(
  client: LookupClient,
  end: JobEnd,
  { value, cursor, time }: FoundRecord,
  options: FindOptions,
): Promise<FoundJob> {
  const { address, id, finishedOn } = end;
  const record = decodeRecord(value, end);
  const document = record.kind === 'document' ? record.document : await partsOf(client, record.manifest, options);
  const { state } = record.kind === 'document' ? record : record.manifest;
  const key = recordKey(address, id, finishedOn);
  return { end, state, key, cursor, archivedMs: time, document, members: membersOf(document) };
}

async function partsOf(client: LookupClient, manifest: JobManifest, options: FindOptions): Promise<string> {
  const { address, id, finishedOn } = manifest.end;
  const numbers = Array.from({ length: manifest.partCount }, (_, index) => index + 1);
  const answers = await client.lookupMany(
    numbers.map((part) => partKey(address, id, finishedOn, part)),
    options,
  );
  const parts = answers.map((answer, index) => {
    if (answer.outcome === 'found') return answer.value;
    if (answer.outcome === 'missing') throw damaged(`part ${index + 1} of ${manifest.partCount} is missing`);
    throw answer.error;
  });
  return joinParts(parts, manifest);
}

function membersOf(document: string): Readonly<Record<string, unknown>> {
  const members = parseExactly(document);
  if (typeof members === 'object' && members !== null) return { ...members };
  throw damaged('it is not a JSON object');
}
