import os from 'node:os';
import { parseArgs } from 'node:util';
import { messageOf } from '../src/base/errors.ts';
import { BenchError } from './bench-error.ts';
import { type ContenderName, contenderNames } from './engine-run.ts';
import type { WorkloadSize } from './workload.ts';

export interface EngineOptions extends WorkloadSize {
  readonly syncMs: number;
  readonly runCount: number;
  readonly contenders: readonly ContenderName[];
  /** Existing directory on the disk to measure; every run gets a new directory in it. */
  readonly directory: string;
  readonly json: boolean;
}

export const engineUsage = `engine: the freezer beside classic-level (LevelDB) and a bare append log, on the same disk in the same run
  --records N      records to store (1,000,000)
  --value BYTES    bytes of a value (1,024); keys have 32 random bytes
  --batch N        records that become durable together (1,000)
  --sync-ms N      milliseconds between two syncs of the freezer (1,000)
  --runs N         runs of each contender; the table shows medians (1)
  --only NAMES     contenders, with commas between: ${contenderNames.join(', ')}
  --directory DIR  where to write (the system's directory for temporary files)
  --json           one JSON document instead of tables`;

const keyBytes = 32;

/** The options of `bench engine`; a wrong one is a BenchError. */
export function parseEngineOptions(words: readonly string[]): EngineOptions {
  const values = parsed(words);
  return {
    recordCount: count('records', values.records),
    keyBytes,
    valueBytes: count('value', values.value),
    batchCount: count('batch', values.batch),
    syncMs: count('sync-ms', values['sync-ms']),
    runCount: count('runs', values.runs),
    contenders: contenders(values.only),
    directory: values.directory,
    json: values.json,
  };
}

function parsed(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      strict: true,
      options: {
        records: { type: 'string', default: '1000000' },
        value: { type: 'string', default: '1024' },
        batch: { type: 'string', default: '1000' },
        'sync-ms': { type: 'string', default: '1000' },
        runs: { type: 'string', default: '1' },
        only: { type: 'string', default: contenderNames.join(',') },
        directory: { type: 'string', default: os.tmpdir() },
        json: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new BenchError(`${messageOf(error)}\n\n${engineUsage}`);
  }
}

function count(name: string, text: string): number {
  const digits = text.replaceAll(/[_,]/g, '');
  const value = Number(digits);
  if (!/^\d+$/.test(digits) || !Number.isSafeInteger(value) || value === 0) {
    throw new BenchError(`--${name} takes a whole number from 1 on, found "${text}"`);
  }
  return value;
}

function contenders(text: string): readonly ContenderName[] {
  const names = text.split(',');
  const unknown = names.find((name) => !contenderNames.some((known) => known === name));
  if (unknown !== undefined) {
    throw new BenchError(`--only knows ${contenderNames.join(', ')}, found "${unknown}"`);
  }
  return contenderNames.filter((name) => names.includes(name));
}
