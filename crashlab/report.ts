/** What a run of the lab says at its end: a table for people, one JSON document for programs. */
import { families } from './experiment.ts';
import type { LabResult } from './lab.ts';
import type { Machine } from './machine.ts';
import type { Tally } from './tally.ts';
import { sumOf, workCounts } from './work.ts';

export interface Report {
  readonly seed: number;
  readonly startedAt: string;
  /** The time that was asked for; null when the run was bounded by rounds alone. */
  readonly seconds: number | null;
  readonly tookSeconds: number;
  readonly endedBy: LabResult['endedBy'];
  readonly version: string;
  readonly machine: Machine;
  readonly experiments: readonly ExperimentReport[];
  /** Whether all that ran did what the lab promises, without a violation. */
  readonly passed: boolean;
}

export interface ExperimentReport {
  readonly name: string;
  readonly family: string;
  readonly rows: readonly number[];
  readonly promise: string;
  /** Why it was not run; null when it was. */
  readonly skipped: string | null;
  readonly rounds: number;
  readonly interruptedRounds: number;
  readonly cases: number;
  readonly crashPoints: number;
  readonly diskStates: number;
  readonly operations: number;
  readonly violations: Tally['violations'];
  readonly shortfalls: readonly string[];
}

export interface RunFacts {
  readonly seed: number;
  readonly startedAt: string;
  readonly seconds: number | undefined;
  readonly version: string;
  readonly machine: Machine;
}

export function reportOf(facts: RunFacts, result: LabResult): Report {
  const experiments = result.tallies.map(experimentReport);
  return {
    seed: facts.seed,
    startedAt: facts.startedAt,
    seconds: facts.seconds ?? null,
    tookSeconds: Math.round(result.tookMs / 100) / 10,
    endedBy: result.endedBy,
    version: facts.version,
    machine: facts.machine,
    experiments,
    passed: !experiments.some(hasFailed) && experiments.some(({ skipped }) => skipped === null),
  };
}

function experimentReport(tally: Tally): ExperimentReport {
  const { name, family, rows, promise } = tally.experiment;
  return {
    ...{ name, family, rows, promise },
    skipped: tally.skipped ?? null,
    rounds: tally.rounds,
    interruptedRounds: tally.interruptedRounds,
    ...tally.work,
    violations: tally.violations,
    shortfalls: tally.shortfalls,
  };
}

function hasFailed({ violations, shortfalls }: ExperimentReport): boolean {
  return violations.length > 0 || shortfalls.length > 0;
}

/** The exit status that the run deserves. */
export function statusOf(report: Report): number {
  const found = report.experiments.some(hasFailed);
  if (report.endedBy === 'interrupted' && !found) return 130;
  return report.passed ? 0 : 1;
}

const headings = ['fault', 'rows', 'rounds', ...workCounts.map(([, words]) => words), 'violations'];

/** The table, then what was found, each with the command that repeats it. */
export function textOf(report: Report): string {
  const blocks = families.flatMap((family) => {
    const ofFamily = report.experiments.filter((experiment) => experiment.family === family);
    return ofFamily.length === 0 ? [] : [...ofFamily.map(rowOf), totalOf(family, ofFamily)];
  });
  const { machine } = report;
  return [
    ...tableOf([headings, ...blocks]),
    '',
    `seed ${report.seed}, ${report.tookSeconds} s, ${endings[report.endedBy]}`,
    `${machine.processorCount} × ${machine.processor}, ${gibibytes(machine.memoryBytes)} GiB, ${machine.system}, node ${machine.node}`,
    ...report.experiments.flatMap(trouble),
    '',
    verdict(report),
    '',
  ].join('\n');
}

const endings: Readonly<Record<LabResult['endedBy'], string>> = {
  time: 'ended by its time',
  overtime: 'ended by twice its time',
  rounds: 'ended by its number of rounds',
  interrupted: 'interrupted',
};

function rowOf(experiment: ExperimentReport): readonly string[] {
  const { name, rows, rounds, skipped, violations } = experiment;
  if (skipped !== null) return [name, rows.join(' '), `skipped: ${skipped}`];
  const counts = workCounts.map(([count]) => countText(experiment[count]));
  return [name, rows.join(' '), countText(rounds), ...counts, countText(violations.length)];
}

function totalOf(family: string, experiments: readonly ExperimentReport[]): readonly string[] {
  const sum = sumOf(experiments);
  const rounds = experiments.reduce((total, experiment) => total + experiment.rounds, 0);
  const violations = experiments.reduce((total, experiment) => total + experiment.violations.length, 0);
  const counts = workCounts.map(([count]) => countText(sum[count]));
  return [`${family} in all`, '', countText(rounds), ...counts, countText(violations)];
}

/** Names to the left, numbers to the right; a short row's last cell runs over the columns after it. */
function tableOf(rows: readonly (readonly string[])[]): readonly string[] {
  const whole = rows.filter((row) => row.length === headings.length);
  const widths = headings.map((_, column) => Math.max(...whole.map((row) => row[column]?.length ?? 0)));
  widths[0] = Math.max(...rows.map((row) => row[0]?.length ?? 0));
  widths[1] = Math.max(...rows.map((row) => row[1]?.length ?? 0));
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const runsOver = row.length < headings.length && column === row.length - 1;
        return column < 2 || runsOver ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
      })
      .join('  ')
      .trimEnd(),
  );
}

/** The first violation whole; of the others, which are often the same, only how to repeat them. */
function trouble({ name, violations, shortfalls }: ExperimentReport): readonly string[] {
  return [
    ...violations.slice(0, 1).flatMap(({ message }) => ['', `${name}: VIOLATION: ${message}`]),
    ...violations.map(({ replay }) => `  again: ${replay}`),
    ...shortfalls.map((shortfall) => `\n${name}: TOO LITTLE: ${shortfall}`),
  ];
}

function verdict(report: Report): string {
  const { experiments } = report;
  const skipped = experiments.filter((experiment) => experiment.skipped !== null).length;
  const ran = experiments.length - skipped;
  const failed = experiments.filter(hasFailed).length;
  const beside = skipped === 0 ? '' : `, ${skipped} skipped`;
  if (ran === 0) return `failed: nothing was run${beside}`;
  if (failed > 0) return `failed: ${failed} of ${ran} experiments${beside}`;
  if (report.endedBy === 'interrupted') return `interrupted: no violation until then${beside}`;
  return `passed: ${ran} experiments without a violation${beside}`;
}

function countText(count: number): string {
  return count.toLocaleString('en-US');
}

function gibibytes(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(1);
}
