import { countText, durationText, sizeText } from './amounts.ts';
import type { Output } from './command.ts';
import type { Progress } from './progress.ts';
import type { PutTally } from './put-run.ts';

/** Problems of one kind that are told one by one; the rest is only counted. */
const toldMax = 20;

/** Tells problems of a long run, a bounded number of them, above its progress. */
export class ProblemReport {
  readonly #output: Output;
  readonly #progress: Progress;
  readonly #counts = { failed: 0, skipped: 0 };

  constructor(output: Output, progress: Progress) {
    this.#output = output;
    this.#progress = progress;
  }

  tell(kind: 'failed' | 'skipped', where: string, reason: string): void {
    const count = ++this.#counts[kind];
    if (count > toldMax + 1) return;
    this.#progress.clear();
    this.#output.write(count > toldMax ? `${kind}: more of them are only counted\n` : `${kind} ${where}: ${reason}\n`);
  }
}

/** Records that have a receipt. */
export function archivedCount(tally: PutTally): number {
  return tally.stored + tally.unchanged + tally.kept;
}

/** `3 failed, 2 skipped`; empty when there is neither. */
export function problemText(tally: PutTally): string {
  return (['failed', 'skipped'] as const)
    .filter((kind) => tally[kind] > 0)
    .map((kind) => `${countText(tally[kind])} ${kind}`)
    .join(', ');
}

/** What became of the records, in one line for people. */
export function tallyText(tally: PutTally): string {
  const outcomes = (['stored', 'unchanged', 'kept', 'failed', 'skipped'] as const)
    .filter((outcome) => tally[outcome] > 0 || outcome === 'stored' || outcome === 'unchanged')
    .map((outcome) => `${countText(tally[outcome])} ${outcome}`);
  return `${outcomes.join(', ')}; ${sizeText(tally.bytes)} acknowledged`;
}

/** The same for machines. */
export function tallyJson(tally: PutTally): object {
  const { stored, unchanged, kept, failed, skipped, bytes, receiptLatencies } = tally;
  const receiptMs = { p50: rounded(receiptLatencies.quantileMs(0.5)), p99: rounded(receiptLatencies.quantileMs(0.99)) };
  return { stored, unchanged, kept, failed, skipped, bytes, receiptMs };
}

/** `p50 3.1 ms, p99 12 ms`. */
export function latencyText(latencies: PutTally['receiptLatencies']): string {
  return `p50 ${durationText(latencies.quantileMs(0.5))}, p99 ${durationText(latencies.quantileMs(0.99))}`;
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
