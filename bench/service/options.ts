import os from 'node:os';
import { parseCount, parseFlags, parseNames } from '../options.ts';
import { type LoadName, loadNames } from './loads.ts';

export interface ServiceOptions {
  /** Records that go through jobs of 100; the other loads are parts of it. */
  readonly recordCount: number;
  readonly valueBytes: number;
  readonly runCount: number;
  readonly loads: readonly LoadName[];
  /** Existing directory on the disk to measure, for the archive and for Redis' append-only file. */
  readonly directory: string;
  /** Where profiles of the consumers' processors go, if anywhere. */
  readonly profileDirectory: string | undefined;
  readonly json: boolean;
}

export const serviceUsage = `service: a worker with its default settings beside a consumer that only decodes, each with Redis and a producer
  --records N      records to put in jobs of 100 (400,000); the other loads are parts of it
  --value BYTES    bytes of a value (1,024)
  --runs N         runs of each; the table shows medians (3)
  --only NAMES     loads, with commas between: ${loadNames.join(', ')}
  --directory DIR  where to write (the system's directory for temporary files)
  --profile DIR    write a processor profile of each consumer there (slows it down)
  --json           one JSON document instead of tables`;

const flags = {
  records: { type: 'string', default: '400000' },
  value: { type: 'string', default: '1024' },
  runs: { type: 'string', default: '3' },
  only: { type: 'string', default: loadNames.join(',') },
  directory: { type: 'string', default: os.tmpdir() },
  profile: { type: 'string', default: '' },
  json: { type: 'boolean', default: false },
} as const;

/** The options of `bench service`; a wrong one is a BenchError. */
export function parseServiceOptions(words: readonly string[]): ServiceOptions {
  const values = parseFlags(words, flags, serviceUsage);
  return {
    recordCount: parseCount('records', values.records),
    valueBytes: parseCount('value', values.value),
    runCount: parseCount('runs', values.runs),
    loads: parseNames('only', values.only, loadNames),
    directory: values.directory,
    profileDirectory: values.profile === '' ? undefined : values.profile,
    json: values.json,
  };
}
