import type { ArchiveJobsSummary } from '../../src/jobs/archive-finished-jobs.ts';
import { type Machine, machineLine } from '../machine.ts';
import { grouped, mebibytes } from '../numbers.ts';
import { aligned } from '../text-table.ts';
import type { Shape } from './mixture.ts';
import type { JobsOptions } from './options.ts';

type ByShape = Readonly<Partial<Record<Shape, number>>>;

export interface JobsReport {
  readonly inputs: JobsOptions;
  readonly machine: Machine;
  /** Finished jobs before, and their bytes. */
  readonly jobs: number;
  readonly shapes: ByShape;
  readonly bytes: number;
  /** Used memory of Redis, before and after. */
  readonly memory: { readonly before: number; readonly after: number };
  /** Jobs that were removed when the archiver was killed, each time. */
  readonly killed: readonly number[];
  /** The run that came to its end: jobs in the sets when it began. */
  readonly finalRun: { readonly jobs: number; readonly marginMs: number };
  readonly ms: number;
  readonly summary: ArchiveJobsSummary;
  readonly lost: number;
  /** Jobs that stayed: after the run, and after the open flows had ended and it was run again. */
  readonly left: ByShape;
  readonly leftAtEnd: ByShape;
  readonly schedulers: number;
}

export function formatJobsReport(report: JobsReport): string {
  const { machine, jobs, shapes, bytes, memory, killed, finalRun, ms, summary, lost } = report;
  const { archivedCount, unchangedCount, archivedBytes, removedCount } = summary;
  const seconds = ms / 1000;
  const rows = [
    ['finished jobs', grouped(jobs)],
    ['bytes in their hashes', mebibytes(bytes)],
    ['memory of Redis before', mebibytes(memory.before)],
    ['memory of Redis after', mebibytes(memory.after)],
    ['killed after so many had been removed', killed.map(grouped).join(' ') || '-'],
    ['jobs of the last run', grouped(finalRun.jobs)],
    [
      '  archived, archived before, removed',
      `${grouped(archivedCount)}  ${grouped(unchangedCount)}  ${grouped(removedCount)}`,
    ],
    ['  bytes of records', mebibytes(archivedBytes)],
    [`  seconds, a margin of ${finalRun.marginMs / 1000} and the start of the program among them`, seconds.toFixed(1)],
    ['  jobs a second', grouped(removedCount / seconds)],
    ['left in Redis', namedCounts(report.left)],
    ['left after the open flows had ended and it was run again', namedCounts(report.leftAtEnd)],
    ['schedulers', grouped(report.schedulers)],
    ['jobs that are not as they were', grouped(lost)],
  ];
  return [machineLine(machine), `shapes: ${namedCounts(shapes)}`, '', ...aligned(rows)].join('\n');
}

function namedCounts(counts: ByShape): string {
  const texts = Object.entries(counts).map(([shape, count]) => `${grouped(count)} ${shape}`);
  return texts.length === 0 ? 'nothing' : texts.join(', ');
}
