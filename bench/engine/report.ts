import { type ContenderName, contenderNotes } from '../contender/contenders.ts';
import { type Machine, machineLine } from '../machine.ts';
import { fixed, grouped, mebibyte, mebibytes, median } from '../numbers.ts';
import { aligned } from '../text-table.ts';
import { type GetWay, inFlightCount, keysPerCall } from './get-phase.ts';
import type { LoadResult } from './load-phase.ts';
import type { EngineOptions } from './options.ts';
import type { EngineRun } from './run.ts';

export interface EngineReport {
  readonly inputs: Omit<EngineOptions, 'json'>;
  readonly payloadBytes: number;
  /** What the hash of every contender with a lookup must be. */
  readonly getsHash: string;
  readonly machine: Machine;
  readonly runs: readonly EngineRun[];
}

type Runs = readonly EngineRun[];
type Pick = (run: EngineRun) => number | undefined;

/** Against whom the others are put in proportion. */
const references: readonly ContenderName[] = ['classic-level', 'lmdb', 'raw-log'];

const wayNames: Readonly<Record<GetWay, string>> = {
  serial: 'one at a time',
  'in-flight': `${inFlightCount} in flight`,
  many: `getMany of ${keysPerCall}`,
};

/** The report as text: inputs, machine, and a column a contender with medians over its runs. */
export function formatEngineReport(report: EngineReport): string {
  const names = report.inputs.contenders;
  const columns = names.map((name) => report.runs.filter((run) => run.contender === name));
  const rows = [...loadRows(report, columns), ...getRows(report, columns), ...costRows(report, columns)];
  return [
    ...headLines(report),
    '',
    ...aligned([['', ...names], ...rows]),
    '',
    'puts a second, by tenth of the load',
    ...aligned(names.map((name, at) => [name, ...tenthsOf(report, columns[at] ?? [])])),
    '',
    ...names.map((name) => `${name}: ${[contenderNotes[name], factsOf(report, name)].filter(Boolean).join('; ')}`),
  ].join('\n');
}

/** What was measured, where, and what its result must be. */
export function headLines(report: EngineReport): string[] {
  const { inputs, payloadBytes, machine, getsHash } = report;
  const { recordCount, keyBytes, valueBytes, batchCount, syncMs, runCount, warmCount, coldCount } = inputs;
  return [
    `${grouped(recordCount)} records, keys of ${keyBytes} bytes, values of ${grouped(valueBytes)} bytes (${mebibytes(payloadBytes)} in all)`,
    `durable after every ${grouped(batchCount)} records; the freezer syncs every ${grouped(syncMs)} ms; ${runCount} run(s) each, medians`,
    `gets of random keys of the whole store: ${grouped(warmCount)} warm and ${grouped(coldCount)} cold in each way; hash of the values ${getsHash}`,
    ...(coldCount > 0 ? [`cold: the page cache emptied before${limitOf(report)}`] : []),
    machineLine(machine),
    'each run in a process of its own, node with --max-semi-space-size=16',
  ];
}

function limitOf({ inputs, runs }: EngineReport): string {
  if (inputs.coldMemoryMiB === 0) return '';
  const wasLimited = runs.some(({ gets }) => gets?.wasLimited === true);
  const limit = `${grouped(inputs.coldMemoryMiB)} MiB of memory for a store and its page cache`;
  return wasLimited ? `, ${limit}` : `; not limited to ${limit}: that takes root and a control group`;
}

/** The rate of each tenth of the load. */
export function tenthsOf({ inputs }: EngineReport, runs: Runs): string[] {
  return Array.from({ length: 10 }, (_, tenth) =>
    grouped((100 * inputs.recordCount) / median(runs.map((run) => run.load.tenthsMs[tenth] ?? 0))),
  );
}

function loadRows({ inputs, payloadBytes }: EngineReport, columns: readonly Runs[]): string[][] {
  const rate: Pick = ({ load }) => (1000 * inputs.recordCount) / load.loadMs;
  return [
    row('puts a second', columns, rate, grouped),
    ...ratioRows('puts', columns, rate),
    row('payload MiB a second', columns, ({ load }) => payloadBytes / mebibyte / (load.loadMs / 1000), fixed),
    loadRow('batch median, ms', columns, (load) => load.batchMedianMs),
    loadRow('batch p99, ms', columns, (load) => load.batchP99Ms),
    loadRow('batch longest, ms', columns, (load) => load.batchMaxMs),
    loadRow('event loop delay p99.9, ms', columns, (load) => load.loopDelayMs),
    loadRow('close, ms', columns, (load) => load.closeMs),
  ];
}

function getRows(report: EngineReport, columns: readonly Runs[]): string[][] {
  return (['warm', 'cold'] as const).flatMap((temperature) =>
    (Object.keys(wayNames) as GetWay[]).flatMap((way) => {
      const rate: Pick = ({ gets }) => rateOf(gets?.[temperature].find((result) => result.way === way));
      const label = `${temperature} gets, ${wayNames[way]}`;
      const wanted = temperature === 'warm' ? report.inputs.warmCount : report.inputs.coldCount;
      if (wanted === 0) return [];
      if (!report.runs.some((run) => rate(run) !== undefined))
        return [[label, 'not measured: only root may empty the page cache']];
      return [row(`${label}, a second`, columns, rate, grouped), ...ratioRows(label, columns, rate)];
    }),
  );
}

function costRows({ payloadBytes }: EngineReport, columns: readonly Runs[]): string[][] {
  return [
    row('written / payload, by /proc/self/io', columns, ({ load }) => share(load.storageBytes, payloadBytes), fixed),
    row('written / payload, by the device', columns, ({ load }) => share(load.deviceBytes, payloadBytes), fixed),
    loadRow('space on disk / payload', columns, (load) => load.diskBytes / payloadBytes),
    loadRow('peak memory of the load, MiB', columns, (load) => load.peakResidentBytes / mebibyte),
    loadRow('processor of the load, user s', columns, (load) => load.processor.userS),
    loadRow('processor of the load, system s', columns, (load) => load.processor.systemS),
    ['hash of the values', ...columns.map((runs) => runs[0]?.gets?.hash.slice(0, 12) ?? '-')],
  ];
}

function loadRow(label: string, columns: readonly Runs[], pick: (load: LoadResult) => number): string[] {
  return row(label, columns, ({ load }) => pick(load), fixed);
}

function row(label: string, columns: readonly Runs[], pick: Pick, show: (value: number) => string): string[] {
  return [
    label,
    ...columns.map((runs) => {
      const value = medianOf(runs, pick);
      return value === undefined ? '-' : show(value);
    }),
  ];
}

/** A line a reference: how many times its rate each contender reaches. */
function ratioRows(label: string, columns: readonly Runs[], rate: Pick): string[][] {
  return references.flatMap((reference) => {
    const base = medianOf(columns.find((runs) => runs[0]?.contender === reference) ?? [], rate);
    if (base === undefined) return [];
    return [
      row(
        `  ${label}, times ${reference}`,
        columns,
        (run) => share(rate(run), base),
        (value) => `${fixed(value)} x`,
      ),
    ];
  });
}

function medianOf(runs: Runs, pick: Pick): number | undefined {
  const numbers = runs.map(pick).filter((value) => value !== undefined);
  return numbers.length === 0 ? undefined : median(numbers);
}

function rateOf(result: { readonly count: number; readonly ms: number } | undefined): number | undefined {
  return result === undefined ? undefined : (1000 * result.count) / result.ms;
}

function share(part: number | undefined, whole: number): number | undefined {
  return part === undefined ? undefined : part / whole;
}

function factsOf(report: EngineReport, name: ContenderName): string {
  const facts = report.runs.find((run) => run.contender === name)?.load.facts ?? {};
  return Object.entries(facts)
    .map(([fact, value]) => `${grouped(value)} ${fact}`)
    .join(', ');
}
