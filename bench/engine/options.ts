import os from 'node:os';
import { type ContenderName, contenderNames } from '../contender/contenders.ts';
import { mebibyte } from '../numbers.ts';
import { parseCount, parseFlags, parseNames } from '../options.ts';
import type { WorkloadSize } from '../workload.ts';
import type { GetCounts } from './get-phase.ts';

export interface EngineOptions extends WorkloadSize, GetCounts {
  readonly syncMs: number;
  readonly runCount: number;
  readonly contenders: readonly ContenderName[];
  /** Existing directory on the disk to measure; every run gets a new directory in it. */
  readonly directory: string;
  /** Loads only, of a tenth of the records and of all, to see what grows with them. */
  readonly growth: boolean;
  readonly json: boolean;
}

export const engineUsage = `engine: the freezer beside LevelDB, LMDB, SQLite and a bare append log, on the same disk in the same run
  --records N      records to store (1,000,000; with --growth 10,000,000)
  --value BYTES    bytes of a value (1,024; with --growth 256); keys have 32 random bytes
  --batch N        records that become durable together (1,000)
  --sync-ms N      milliseconds between two syncs of the freezer (1,000)
  --gets N         gets of random keys in each of three ways, page cache warm (100,000); 0 for none
  --cold-gets N    the same with the page cache emptied before, which takes root (500); 0 for none
  --memory MIB     memory for the process and its page cache during cold gets, by a control group, which takes root
                   (512 where the records take more, so that data is larger than memory); 0 for no limit
  --runs N         runs of each contender; the table shows medians (3; with --growth 1)
  --only NAMES     contenders, with commas between: ${contenderNames.join(', ')}
  --growth         load a tenth of the records, then all of them, and compare speed and memory (permafrost alone)
  --directory DIR  where to write (the system's directory for temporary files)
  --json           one JSON document instead of tables`;

const keyBytes = 32;
const coldMemoryMiB = 512;

const flags = {
  records: { type: 'string', default: '' },
  value: { type: 'string', default: '' },
  batch: { type: 'string', default: '1000' },
  'sync-ms': { type: 'string', default: '1000' },
  gets: { type: 'string', default: '100000' },
  'cold-gets': { type: 'string', default: '500' },
  memory: { type: 'string', default: '' },
  runs: { type: 'string', default: '' },
  only: { type: 'string', default: '' },
  growth: { type: 'boolean', default: false },
  directory: { type: 'string', default: os.tmpdir() },
  json: { type: 'boolean', default: false },
} as const;

/** The options of `bench engine`; a wrong one is a BenchError. */
export function parseEngineOptions(words: readonly string[]): EngineOptions {
  const values = parseFlags(words, flags, engineUsage);
  const { growth } = values;
  const recordCount = parseCount('records', values.records || (growth ? '10000000' : '1000000'));
  const valueBytes = parseCount('value', values.value || (growth ? '256' : '1024'));
  const isLarge = recordCount * (keyBytes + valueBytes) > coldMemoryMiB * mebibyte;
  return {
    recordCount,
    keyBytes,
    valueBytes,
    batchCount: parseCount('batch', values.batch),
    syncMs: parseCount('sync-ms', values['sync-ms']),
    warmCount: growth ? 0 : parseCount('gets', values.gets, 0),
    coldCount: growth ? 0 : parseCount('cold-gets', values['cold-gets'], 0),
    coldMemoryMiB: parseCount('memory', values.memory || String(isLarge ? coldMemoryMiB : 0), 0),
    runCount: parseCount('runs', values.runs || (growth ? '1' : '3')),
    contenders: parseNames('only', values.only || (growth ? 'permafrost' : contenderNames.join(',')), contenderNames),
    directory: values.directory,
    growth,
    json: values.json,
  };
}
