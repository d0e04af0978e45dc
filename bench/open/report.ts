import { type Machine, machineLine } from '../machine.ts';
import { fixed, grouped, median } from '../numbers.ts';
import { aligned } from '../text-table.ts';
import type { Ending } from './build.ts';
import type { OpenResult } from './open-once.ts';
import type { OpenOptions } from './options.ts';
import type { SubjectName } from './subjects.ts';

export type Cache = 'warm' | 'cold';

export interface OpenRun extends OpenResult {
  readonly subject: SubjectName;
  readonly ending: Ending;
  readonly cache: Cache;
}

export interface OpenReport {
  readonly inputs: Omit<OpenOptions, 'json'>;
  readonly machine: Machine;
  readonly runs: readonly OpenRun[];
}

export const endings: readonly Ending[] = ['clean', 'killed'];
export const caches: readonly Cache[] = ['warm', 'cold'];

const endingTitles: Readonly<Record<Ending, string>> = { clean: 'after a clean close', killed: 'after kill -9' };

/** The report as text: inputs, machine, and a column for each that was opened, with medians. */
export function formatOpenReport({ inputs, machine, runs }: OpenReport): string {
  const { recordCount, keyBytes, valueBytes, batchCount, sectionCount, runCount, subjects } = inputs;
  const rows = endings.flatMap((ending) =>
    caches.flatMap((cache) => {
      const columns = subjects.map((subject) =>
        runs.filter((run) => run.subject === subject && run.ending === ending && run.cache === cache),
      );
      return rowsOf(`${endingTitles[ending]}, page cache ${cache}`, columns);
    }),
  );
  return [
    `${grouped(recordCount)} records, keys of ${keyBytes} bytes, values of ${grouped(valueBytes)} bytes, durable after every ${grouped(batchCount)}; sections of a size for ${grouped(sectionCount)}; ${runCount} opening(s) of each kind, medians`,
    'engine: the freezer by itself, synced after as many puts as half the table has buckets; shard: the same as a worker opens it, with its defaults',
    'the table started with 65,536 buckets and has grown by itself; each opening ended with reading 400 records back, the last ones among them',
    machineLine(machine),
    '',
    ...aligned([['', ...subjects], ...rows]),
  ].join('\n');
}

/** Nothing was measured with an empty page cache where that is not allowed, or not wanted. */
function rowsOf(label: string, columns: readonly (readonly OpenRun[])[]): string[][] {
  if (columns.every((runs) => runs.length === 0)) return [[label, 'not measured']];
  const row = (name: string, pick: (run: OpenRun) => number | undefined, show: (value: number) => string): string[] => [
    name,
    ...columns.map((runs) => {
      const numbers = runs.map(pick).filter((value) => value !== undefined);
      return numbers.length === 0 ? '-' : show(median(numbers));
    }),
  ];
  const rows = [
    row(`${label}, ms`, ({ ms }) => ms, fixed),
    row('  sections', ({ facts }) => facts.sections, grouped),
    row('  buckets of the table', ({ facts }) => facts.buckets, grouped),
    row('  entries scanned', ({ facts }) => facts.entriesScanned, grouped),
    row('  entries scanned a second', ({ facts }) => facts.entriesScannedPerSecond, grouped),
  ];
  return rows.filter(([, ...cells]) => cells.some((cell) => cell !== '-'));
}
