import os from 'node:os';
import { parseCount, parseFlags, parseNames } from '../options.ts';
import type { WorkloadSize } from '../workload.ts';
import { type SubjectName, subjectNames } from './subjects.ts';

export interface OpenOptions extends WorkloadSize {
  /** Sections that the size of a section is chosen for. */
  readonly sectionCount: number;
  readonly runCount: number;
  readonly subjects: readonly SubjectName[];
  /** Existing directory on the disk to measure. */
  readonly directory: string;
  /** Opens with an empty page cache, too. */
  readonly cold: boolean;
  readonly json: boolean;
}

export const openUsage = `open: how long opening takes, after a clean close and after kill -9
  --records N      records in the store (1,000,000)
  --value BYTES    bytes of a value (256); keys have 32 random bytes
  --batch N        records that become durable together (1,000)
  --sections N     sections that the records are to fill (100)
  --runs N         openings of each kind; the table shows medians (3)
  --only NAMES     what to open, with commas between: ${subjectNames.join(', ')}
  --warm           leave out the openings with an empty page cache, which take root and slow down all that runs here
  --directory DIR  where to write (the system's directory for temporary files)
  --json           one JSON document instead of tables`;

const keyBytes = 32;

const flags = {
  records: { type: 'string', default: '1000000' },
  value: { type: 'string', default: '256' },
  batch: { type: 'string', default: '1000' },
  sections: { type: 'string', default: '100' },
  runs: { type: 'string', default: '3' },
  only: { type: 'string', default: subjectNames.join(',') },
  directory: { type: 'string', default: os.tmpdir() },
  warm: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const;

/** The options of `bench open`; a wrong one is a BenchError. */
export function parseOpenOptions(words: readonly string[]): OpenOptions {
  const values = parseFlags(words, flags, openUsage);
  return {
    recordCount: parseCount('records', values.records),
    keyBytes,
    valueBytes: parseCount('value', values.value),
    batchCount: parseCount('batch', values.batch),
    sectionCount: parseCount('sections', values.sections),
    runCount: parseCount('runs', values.runs),
    subjects: parseNames('only', values.only, subjectNames),
    directory: values.directory,
    cold: !values.warm,
    json: values.json,
  };
}
