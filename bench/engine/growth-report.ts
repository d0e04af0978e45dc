import { fixed, mebibyte, median } from '../numbers.ts';
import { aligned } from '../text-table.ts';
import { type EngineReport, headLines, tenthsOf } from './report.ts';

/** What grows with the number of records: the rate of the last tenth beside the first, and memory beside a tenth's. */
export function formatGrowthReport(small: EngineReport, large: EngineReport): string {
  return [...headLines(large), ...large.inputs.contenders.flatMap((name) => ['', ...linesOf(name, small, large)])].join(
    '\n',
  );
}

function linesOf(name: string, small: EngineReport, large: EngineReport): string[] {
  const runs = large.runs.filter((run) => run.contender === name);
  const tenthMs = (tenth: number): number => median(runs.map((run) => run.load.tenthsMs[tenth] ?? 0));
  const peak = peakOf(name, large);
  return [
    `${name}: puts a second, by tenth of the load`,
    ...aligned([tenthsOf(large, runs)]),
    `last tenth / first tenth: ${fixed(tenthMs(0) / tenthMs(9))}`,
    `peak memory: ${fixed(peak)} MiB, ${fixed(peak - peakOf(name, small))} MiB more than with a tenth of the records`,
    `event loop delay p99.9: ${fixed(median(runs.map((run) => run.load.loopDelayMs)))} ms`,
  ];
}

function peakOf(name: string, report: EngineReport): number {
  const runs = report.runs.filter((run) => run.contender === name);
  return median(runs.map((run) => run.load.peakResidentBytes)) / mebibyte;
}
