/** The figures of long runs, as they stand in docs/RELIABILITY.md. */
import type { ExperimentReport, Report } from './report.ts';
import { workCounts } from './work.ts';

/** What stands before and after the figures in the document. */
export const figuresStart =
  '<!-- figures: `node crashlab/write-figures.ts <result.json>…` writes what follows, up to their end -->';
export const figuresEnd = '<!-- end of figures -->';

/** The document with the figures of these runs in place of those that it has; throws where it has no place for them. */
export function withFigures(document: string, reports: readonly Report[]): string {
  const start = document.indexOf(figuresStart);
  const end = document.indexOf(figuresEnd);
  if (start < 0 || end < start) throw new RangeError('the document has no place for figures');
  const blocks = reports.map(figuresOf).join('\n\n');
  return `${document.slice(0, start + figuresStart.length)}\n\n${blocks}\n\n${document.slice(end)}`;
}

/** One run in Markdown. */
export function figuresOf(report: Report): string {
  const { seed, startedAt, tookSeconds, machine, version, passed } = report;
  const processor = `${machine.processorCount} × ${machine.processor}`;
  const run = experimentsThat(report, ({ skipped }) => skipped === null);
  const skipped = experimentsThat(report, (experiment) => experiment.skipped !== null);
  return [
    `Begun ${startedAt.slice(0, 16).replace('T', ' ')} UTC, ${Math.round(tookSeconds).toLocaleString('en-US')} s, seed ${seed}, version ${version}, ` +
      `${processor}, ${(machine.memoryBytes / 2 ** 30).toFixed(1)} GiB, ${machine.system}, node ${machine.node}: ` +
      `${passed ? 'passed' : 'failed'}.`,
    '',
    `| experiment | rounds | ${workCounts.map(([, words]) => words).join(' | ')} | violations |`,
    `|---|${'---:|'.repeat(workCounts.length + 2)}`,
    ...run.map(lineOf),
    ...skipped.map(
      ({ name, skipped: reason }) => `| \`${name}\` | skipped: ${reason} |${' |'.repeat(workCounts.length + 1)}`,
    ),
  ].join('\n');
}

function experimentsThat(
  { experiments }: Report,
  matches: (experiment: ExperimentReport) => boolean,
): readonly ExperimentReport[] {
  return experiments.filter(matches);
}

function lineOf(experiment: ExperimentReport): string {
  const counts = [experiment.rounds, ...workCounts.map(([count]) => experiment[count]), experiment.violations.length];
  return `| \`${experiment.name}\` | ${counts.map((count) => count.toLocaleString('en-US')).join(' | ')} |`;
}
