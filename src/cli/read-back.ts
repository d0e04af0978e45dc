import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { FoundRecord, LookupTarget } from '../client/lookups.ts';
import type { ImportRecord } from './import-item.ts';
import { Latencies } from './latencies.ts';

/** A record that was archived, and where its receipt says that it is. */
export interface ArchivedRecord {
  readonly record: ImportRecord;
  readonly cursor: string;
}

export interface ReadBackPorts {
  lookup(target: LookupTarget): Promise<FoundRecord | undefined>;
  /** Told of each lookup that did not give the very bytes of the source. */
  mismatch(where: string, reason: string): void;
  readonly clock: Clock;
  readonly interrupted: AbortSignal;
}

export interface ReadBack {
  readonly byKey: number;
  readonly byCursor: number;
  readonly bytes: number;
  readonly mismatches: number;
  readonly latencies: Latencies;
}

/** Lookups under way at once. */
const parallelCount = 8;
/** Every so many-th record is looked up by its cursor as well. */
const cursorEvery = 3;

/** Looks the records up, by key and some of them by cursor, and compares each answer with its source byte for byte. */
export async function readBack(records: readonly ArchivedRecord[], ports: ReadBackPorts): Promise<ReadBack> {
  const result = { byKey: 0, byCursor: 0, bytes: 0, mismatches: 0, latencies: new Latencies() };
  const compare = async (archived: ArchivedRecord, target: LookupTarget): Promise<void> => {
    const startMs = ports.clock.monotonicMs();
    try {
      const found = await ports.lookup(target);
      result.latencies.add(ports.clock.monotonicMs() - startMs);
      const reason = difference(found, archived, await archived.record.load());
      if (reason === undefined) result.bytes += found?.value.length ?? 0;
      else tellMismatch(archived, reason);
    } catch (error) {
      tellMismatch(archived, messageOf(error));
    }
    result[typeof target === 'string' ? 'byKey' : 'byCursor']++;
  };
  const tellMismatch = ({ record }: ArchivedRecord, reason: string): void => {
    result.mismatches++;
    ports.mismatch(record.where, reason);
  };
  const entries = records.entries();
  const work = async (): Promise<void> => {
    // The iterator is shared: each worker takes the next record that none has taken.
    for (const [index, archived] of entries) {
      if (ports.interrupted.aborted) return;
      await compare(archived, archived.record.key);
      if (index % cursorEvery === 0) await compare(archived, { cursor: archived.cursor });
    }
  };
  await Promise.all(Array.from({ length: parallelCount }, work));
  return result;
}

function difference(
  found: FoundRecord | undefined,
  { record }: ArchivedRecord,
  source: Uint8Array,
): string | undefined {
  if (found === undefined) return 'is missing from the archive';
  if (found.key !== undefined && found.key !== record.key) return `has another key: ${found.key}`;
  if (found.value.length !== source.length) return `has ${found.value.length} bytes, its source has ${source.length}`;
  return found.value.equals(source) ? undefined : 'has other bytes than its source';
}
