import os from 'node:os';
import { parseCount, parseFlags } from '../options.ts';

export interface JobsOptions {
  /** Finished jobs, about. */
  readonly jobCount: number;
  /** How often the archiver is killed before it may go on to its end. */
  readonly killCount: number;
  /** Time between the receipt of a job and its removal. */
  readonly marginSeconds: number;
  /** Existing directory for the archive and for Redis' append-only file. */
  readonly directory: string;
  readonly json: boolean;
}

export const jobsUsage = `jobs: permafrost archive-jobs on a BullMQ queue of mixed shape; every job is compared with its record
  --jobs N         finished jobs, about (100,000)
  --kills N        times that the archiver is killed on the way (3)
  --margin S       seconds between the receipt of a job and its removal (5)
  --directory DIR  where to write (the system's directory for temporary files)
  --json           one JSON document instead of a table`;

const flags = {
  jobs: { type: 'string', default: '100000' },
  kills: { type: 'string', default: '3' },
  margin: { type: 'string', default: '5' },
  directory: { type: 'string', default: os.tmpdir() },
  json: { type: 'boolean', default: false },
} as const;

/** The options of `bench jobs`; a wrong one is a BenchError. */
export function parseJobsOptions(words: readonly string[]): JobsOptions {
  const values = parseFlags(words, flags, jobsUsage);
  return {
    jobCount: parseCount('jobs', values.jobs, 100),
    killCount: parseCount('kills', values.kills, 0),
    marginSeconds: parseCount('margin', values.margin, 0),
    directory: values.directory,
    json: values.json,
  };
}
