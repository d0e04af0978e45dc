import type { EngineOptions } from './engine-options.ts';
import type { ContenderName, EngineRun } from './engine-run.ts';
import { type Machine, median } from './measure.ts';

export interface EngineReport {
  readonly inputs: Omit<EngineOptions, 'json'>;
  readonly payloadBytes: number;
  /** What the hash of every contender with a lookup must be. */
  readonly sampleHash: string;
  readonly machine: Machine;
  readonly runs: readonly EngineRun[];
}

const reference: ContenderName = 'classic-level';

/** The report as text: inputs, machine, a column a contender with medians over its runs, ratios to LevelDB. */
export function formatEngineReport(report: EngineReport): string {
  const { inputs, machine } = report;
  const names = inputs.contenders;
  const head = [
    `${grouped(inputs.recordCount)} records, keys of ${inputs.keyBytes} bytes, values of ${grouped(inputs.valueBytes)} bytes (${mebibytes(report.payloadBytes)} in all)`,
    `durable after every ${grouped(inputs.batchCount)} records; the freezer syncs every ${grouped(inputs.syncMs)} ms; ${inputs.runCount} run(s) each`,
    `${machine.processor}, ${machine.processors} processors, ${mebibytes(machine.memoryBytes)} memory, ${machine.fileSystem}, ${machine.system}, node ${machine.node}`,
    `hash of the sample read back: ${report.sampleHash}`,
  ];
  const columns = names.map((name) => report.runs.filter((run) => run.contender === name));
  const base = report.runs.filter((run) => run.contender === reference);
  const rows = rowsOf(report, columns, base);
  return [...head, '', ...aligned([['', ...names], ...rows])].join('\n');
}

type Runs = readonly EngineRun[];

function rowsOf(report: EngineReport, columns: readonly Runs[], base: Runs): string[][] {
  const { inputs, payloadBytes } = report;
  const loadMs = (run: EngineRun): number => run.loadMs;
  const row = (label: string, cell: (runs: Runs) => string): string[] => [label, ...columns.map(cell)];
  const over = (pick: (run: EngineRun) => number | undefined, show: (value: number) => string) => (runs: Runs) => {
    const numbers = runs.map(pick).filter((value) => value !== undefined);
    return numbers.length === 0 ? '-' : show(median(numbers));
  };
  return [
    row(
      'records a second',
      over((run) => (1000 * inputs.recordCount) / run.loadMs, grouped),
    ),
    row(
      'payload MiB/s',
      over((run) => payloadBytes / mebibyte / (run.loadMs / 1000), fixed),
    ),
    row(`load, times ${reference}`, (runs) =>
      base.length === 0 ? '-' : `${fixed(median(base.map(loadMs)) / median(runs.map(loadMs)))} x`,
    ),
    row(
      'load, seconds',
      over((run) => run.loadMs / 1000, fixed),
    ),
    row(
      'batch median, ms',
      over((run) => run.batchMedianMs, fixed),
    ),
    row(
      'batch p99, ms',
      over((run) => run.batchP99Ms, fixed),
    ),
    row(
      'batch longest, ms',
      over((run) => run.batchMaxMs, fixed),
    ),
    row(
      'close, ms',
      over((run) => run.closeMs, fixed),
    ),
    row(
      'written to storage / payload',
      over((run) => ratio(run.storageBytes, payloadBytes), fixed),
    ),
    row(
      'space on disk / payload',
      over((run) => run.diskBytes / payloadBytes, fixed),
    ),
    row(
      'peak memory, MiB',
      over((run) => run.peakResidentBytes / mebibyte, fixed),
    ),
    row(
      'warm reads a second',
      over((run) => readsPerSecond(run), grouped),
    ),
    row('hash of the sample', (runs) => runs[0]?.readHash?.slice(0, 12) ?? '-'),
    row('facts', (runs) => factsOf(runs[0])),
  ];
}

function readsPerSecond(run: EngineRun): number | undefined {
  return run.readMs === undefined ? undefined : (1000 * run.readCount) / run.readMs;
}

function ratio(bytes: number | undefined, payloadBytes: number): number | undefined {
  return bytes === undefined ? undefined : bytes / payloadBytes;
}

function factsOf(run: EngineRun | undefined): string {
  return Object.entries(run?.facts ?? {})
    .map(([name, value]) => `${grouped(value)} ${name}`)
    .join(', ');
}

const mebibyte = 1024 * 1024;

function mebibytes(bytes: number): string {
  return `${grouped(bytes / mebibyte)} MiB`;
}

function grouped(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function fixed(value: number): string {
  return value >= 100 ? grouped(value) : value.toFixed(2);
}

/** Columns of equal width, the first flush left, the others flush right. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  '),
  );
}
