import { type Machine, machineLine } from '../machine.ts';
import { fixed, grouped, median } from '../numbers.ts';
import { aligned } from '../text-table.ts';
import { type Subject, subjects } from './consumer.ts';
import type { DriverResult } from './driver.ts';
import { type LoadName, loadTitles } from './loads.ts';
import type { ServiceOptions } from './options.ts';

export interface ServiceRun extends DriverResult {
  readonly load: LoadName;
  readonly subject: Subject;
}

export interface ServiceReport {
  readonly inputs: Omit<ServiceOptions, 'json'>;
  readonly machine: Machine;
  /** Median of an fdatasync after 4 KiB on this disk. */
  readonly syncMs: number;
  readonly runs: readonly ServiceRun[];
}

type Pick = (run: ServiceRun) => number | undefined;

/** The report as text: inputs, machine, and a section a load with the ceiling beside the worker. */
export function formatServiceReport(report: ServiceReport): string {
  const { inputs, machine, syncMs } = report;
  return [
    `${grouped(inputs.recordCount)} records in jobs of 100, other loads in proportion; values of ${grouped(inputs.valueBytes)} bytes; ${inputs.runCount} run(s) each in turns, medians`,
    'worker: permafrost worker with its default settings, an empty archive whose table starts with 65,536 buckets and grows by itself',
    'ceiling: a bare BullMQ worker with the same queue settings that decodes and completes; a lookup gets a fixed reply of the same size',
    `Redis: append-only file, synced each second; an fdatasync of this disk takes ${fixed(syncMs)} ms at the median`,
    machineLine(machine),
    `hashes of the values: ${hashesOf(report)}`,
    ...inputs.loads.flatMap((load) => ['', ...sectionOf(report.runs, load)]),
  ].join('\n');
}

function sectionOf(runs: readonly ServiceRun[], load: LoadName): string[] {
  const columns = subjects.map((subject) => runs.filter((run) => run.load === load && run.subject === subject));
  const rate: Pick = ({ itemCount, ms }) => (1000 * itemCount) / ms;
  const perItem = (pick: (processor: NonNullable<DriverResult['processor']>) => number): Pick => {
    return ({ processor, itemCount }) => (processor === undefined ? undefined : (pick(processor) * 1e6) / itemCount);
  };
  const ceiling = medianOf(columns[0] ?? [], rate);
  const rows = [
    row('rate', columns, rate, grouped),
    row(
      '  times the ceiling',
      columns,
      (run) => (ceiling === undefined ? undefined : (rate(run) ?? 0) / ceiling),
      fixed,
    ),
    row('time of a job: median, ms', columns, ({ times }) => times?.medianMs, fixed),
    row('time of a job: p99, ms', columns, ({ times }) => times?.p99Ms, fixed),
    row(
      'processor of the consumer, µs an item',
      columns,
      perItem(({ consumerS }) => consumerS),
      fixed,
    ),
    row(
      'processor of Redis, µs an item',
      columns,
      perItem(({ redisS }) => redisS),
      fixed,
    ),
    row(
      'processor of the producer, µs an item',
      columns,
      perItem(({ driverS }) => driverS),
      fixed,
    ),
  ];
  const told = rows.filter(([, ...cells]) => cells.some((cell) => cell !== '-'));
  return aligned([[loadTitles[load], ...subjects], ...told]);
}

function row(label: string, columns: readonly ServiceRun[][], pick: Pick, show: (value: number) => string): string[] {
  return [
    label,
    ...columns.map((runs) => {
      const value = medianOf(runs, pick);
      return value === undefined ? '-' : show(value);
    }),
  ];
}

function medianOf(runs: readonly ServiceRun[], pick: Pick): number | undefined {
  const numbers = runs.map(pick).filter((value) => value !== undefined);
  return numbers.length === 0 ? undefined : median(numbers);
}

function hashesOf({ runs }: ServiceReport): string {
  const hashes = runs.flatMap(({ subject, load, hash }) =>
    subject === 'worker' && hash !== undefined ? [`${load} ${hash.slice(0, 16)}`] : [],
  );
  return [...new Set(hashes)].join(', ') || 'none (nothing was looked up)';
}
