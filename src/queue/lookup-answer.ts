/**
 * Finds the answers to one lookup, within its deadline and within limits of memory.
 *
 * Questions go to the shard in slices; each slice is cut so that what it is expected to bring stays small, after the
 * mean size of what the slices before it brought: those of this lookup, or else of others.
 */
import type { Clock } from '../base/clock.ts';
import { yieldToLoop } from '../base/yield.ts';
import { formatCursor } from '../protocol/cursor-text.ts';
import type { ProtocolLimits } from '../protocol/limits.ts';
import type { LookupCursor, LookupJob } from '../protocol/lookup-job.ts';
import type { RecordKey } from '../protocol/record-key.ts';
import type { LookupResult } from '../protocol/reply.ts';
import type { Answer, FoundRecord, Question } from '../shard/lookup.ts';
import { versionLabel } from './put-id.ts';
import type { ReadGate } from './read-gate.ts';
import type { ShardPort } from './shard-port.ts';
import type { SliceSizes } from './slice-sizes.ts';
import type { ThrottledLog } from './throttled-log.ts';
import { within } from './within.ts';

export interface AnswerDeps {
  readonly shard: ShardPort;
  readonly clock: Clock;
  readonly limits: ProtocolLimits;
  readonly log: ThrottledLog;
  /** Shared by all lookups in hand: held from reading a slice until what came of it is sent. */
  readonly gate: ReadGate;
  /** Shared by all lookups. */
  readonly sizes: SliceSizes;
}

type Asked = RecordKey | LookupCursor;

/** What came of a slice: answers, or why there are none. */
type Sliced = readonly Answer[] | 'expired' | 'unavailable' | 'too-large';

/**
 * A result a question, first the keys, then the cursors, as they are found, slice by slice. Nothing is read after the
 * deadline, nor when as many bytes of values were read as a reply may hold: what is left then is `too-large`, unread.
 * Never rejects.
 */
export async function* answerLookup(
  job: LookupJob,
  deadlineMs: number,
  shard: number,
  deps: AnswerDeps,
): AsyncGenerator<readonly LookupResult[]> {
  const asked: readonly Asked[] = [...job.keys, ...job.cursors];
  const context = { shard, values: job.values, budget: { bytesLeft: deps.limits.replyBytesMax } };
  const { sizes } = deps;
  let readBytes = 0;
  let meanBytes: number | undefined;
  for (let start = 0; start < asked.length; ) {
    const slice = asked.slice(start, start + sizes.countFor(meanBytes));
    const isFull = job.values && readBytes >= deps.limits.replyBytesMax;
    await deps.gate.enter();
    try {
      const ours = slice.filter((question) => isOurs(question, shard));
      const found = isFull ? 'too-large' : await askShard(ours, deadlineMs, deps);
      yield resultsOf(slice, found, context);
      if (typeof found !== 'string') {
        for (const answer of found)
          if (answer.kind === 'corrupt') deps.log.warn({ error: answer.error }, 'record-corrupt');
        meanBytes = meanBytesOf(found);
        sizes.note(meanBytes);
        readBytes += meanBytes * found.length;
      }
    } finally {
      deps.gate.leave();
    }
    start += slice.length;
    if (start < asked.length) await yieldToLoop();
  }
}

async function askShard(slice: readonly Asked[], deadlineMs: number, deps: AnswerDeps): Promise<Sliced> {
  const leftMs = deadlineMs - deps.clock.wallMs();
  if (leftMs <= 0) return 'expired';
  if (slice.length === 0) return [];
  const answered = deps.shard.lookupMany(slice.map(questionOf)).catch((): 'unavailable' => 'unavailable');
  return (await within(deps.clock, leftMs, answered)) ?? 'expired';
}

function resultsOf(slice: readonly Asked[], found: Sliced, context: ResultContext): readonly LookupResult[] {
  let at = 0;
  return slice.map((question) => {
    if (!isOurs(question, context.shard)) return wrongShard(question, context.shard);
    if (typeof found === 'string') return { ...echo(question), outcome: found };
    // Those of this shard were asked in the order of the slice.
    return resultOf(question, found[at++], context);
  });
}

interface ResultContext {
  readonly shard: number;
  readonly values: boolean;
  readonly budget: { bytesLeft: number };
}

function resultOf(question: Asked, answer: Answer | undefined, context: ResultContext): LookupResult {
  switch (answer?.kind) {
    case 'found':
      return foundResult(question, answer, context);
    case 'missing':
    case 'corrupt':
      return { ...echo(question), outcome: answer.kind };
    case 'invalid':
      return { ...echo(question), outcome: 'invalid', error: wrongCursor('names no record of this shard') };
    case 'unavailable':
    case undefined:
      return { ...echo(question), outcome: 'unavailable' };
  }
}

function foundResult(question: Asked, found: FoundRecord, { shard, values, budget }: ResultContext): LookupResult {
  const size = found.payload.length;
  const facts = {
    key: found.key,
    cursor: formatCursor(shard, found.cursor),
    size,
    time: found.archivedAtMs,
    put: versionLabel(found.putId, found.recordIndex),
    ...echo(question),
  };
  if (!values) return { ...facts, outcome: 'found' };
  if (size > budget.bytesLeft) return { ...facts, outcome: 'too-large' };
  budget.bytesLeft -= size;
  return { ...facts, outcome: 'found', value: asBuffer(found.payload) };
}

function meanBytesOf(answers: readonly Answer[]): number {
  const sizes = answers.map((answer) => (answer.kind === 'found' ? answer.payload.length : 0));
  return Math.max(1, sizes.reduce((sum, size) => sum + size, 0) / Math.max(1, sizes.length));
}

function isOurs(question: Asked, shard: number): boolean {
  return !('text' in question) || question.shard === shard;
}

function questionOf(question: Asked): Question {
  return 'text' in question ? { cursor: question.bytes } : { key: question.key, storedKey: question.storedKey };
}

function echo(question: Asked): { key: string } | { cursor: string } {
  return 'text' in question ? { cursor: question.text } : { key: question.key };
}

function wrongShard(question: Asked, shard: number): LookupResult {
  return { ...echo(question), outcome: 'invalid', error: wrongCursor(`names another shard than ${shard}`) };
}

function wrongCursor(reason: string): { code: string; message: string } {
  return { code: 'wrong-cursor', message: `the cursor ${reason}` };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
