import type { Client } from '../../src/client/client.ts';
import { ClientError } from '../../src/client/client-error.ts';
import type { FoundRecord, LookupTarget } from '../../src/client/lookups.ts';
import { Violation } from '../experiment.ts';
import { passed, patienceMs } from './limit.ts';
import type { Acknowledged, ReceiptJournal } from './receipt-journal.ts';
import { textOf, versionIn } from './record-text.ts';

const batchCount = 500;
const lookupTimeoutMs = 3000;
const pauseMs = 50;

/**
 * Looks up every record of the journal, by key and by cursor. Throws a Violation at the first one that is lost or is
 * not what was put. Gives the number of lookups that were judged.
 */
export async function readAll(client: Client, journal: ReceiptJournal, signal: AbortSignal): Promise<number> {
  const records = [...journal.records];
  for (let start = 0; start < records.length && !signal.aborted; start += batchCount) {
    const batch = records.slice(start, start + batchCount);
    const leastVersions = batch.map(({ key }) => journal.newestOf(key));
    const targets = batch.flatMap(({ key, cursor }) => [key, { cursor }]);
    const found = await answersTo(client, targets, signal);
    for (const [index, record] of batch.entries()) {
      judgeByKey(record, leastVersions[index] ?? 0, found[2 * index]);
      judgeByCursor(record, found[2 * index + 1]);
    }
  }
  return records.length * 2;
}

/** The answers to all targets; what could not be answered now is asked again. */
async function answersTo(
  client: Client,
  targets: readonly LookupTarget[],
  signal: AbortSignal,
): Promise<readonly (FoundRecord | undefined)[]> {
  const found = new Array<FoundRecord | undefined>(targets.length);
  let open = [...targets.keys()];
  const endMs = performance.now() + patienceMs;
  for (let reason = ''; open.length > 0; ) {
    if (performance.now() > endMs) throw new Violation(`a lookup without an answer for ${patienceMs} ms: ${reason}`);
    signal.throwIfAborted();
    try {
      const asked = open.map((index) => targets[index] as LookupTarget);
      const answers = await client.lookupMany(asked, { timeoutMs: lookupTimeoutMs });
      open = open.filter((position, index) => {
        const answer = answers[index];
        if (answer?.outcome === 'found') found[position] = answer;
        else if (answer?.outcome !== 'missing') {
          reason = answer?.error.message ?? 'no answer';
          // A place that holds no record any more, or one that cannot be read: asking again gives the same.
          if (answer?.outcome === 'invalid' || answer?.outcome === 'corrupt')
            throw new Violation(`lost: ${JSON.stringify(targets[position])}: ${reason}`);
          return true;
        }
        return false;
      });
    } catch (error) {
      if (!(error instanceof ClientError) || !(error.retriable || error.details.reason === 'unknown-client'))
        throw error;
      reason = error.message;
    }
    if (open.length > 0) await passed(signal, pauseMs);
  }
  return found;
}

function judgeByKey(record: Acknowledged, leastVersion: number, found: FoundRecord | undefined): void {
  if (found === undefined) throw new Violation(`lost: '${record.key}' is acknowledged and not found by its key`);
  const version = versionIn(record.key, found.value);
  if (version === undefined) throw new Violation(`wrong: '${record.key}' gives ${shown(found.value)}`);
  if (version >= leastVersion) return;
  throw new Violation(`older: '${record.key}' gives version ${version}, acknowledged is ${leastVersion}`);
}

function judgeByCursor({ key, version, size, cursor }: Acknowledged, found: FoundRecord | undefined): void {
  if (found === undefined) throw new Violation(`lost: '${key}' is acknowledged and not found at ${cursor}`);
  if (found.key === key && found.value.equals(Buffer.from(textOf(key, version, size)))) return;
  throw new Violation(`wrong: ${cursor} of '${key}' version ${version} gives ${shown(found.value)}`);
}

function shown(value: Buffer): string {
  return `${value.length} bytes '${value.toString('latin1', 0, 60)}'`;
}
