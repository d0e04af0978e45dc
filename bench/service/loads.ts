/** What is measured: each load is a number of jobs of one kind. */
export interface PutLoad {
  readonly kind: 'puts';
  readonly jobCount: number;
  readonly recordsPerJob: number;
  /** All jobs wait in Redis before the clock starts: only the consumer and Redis work then. */
  readonly preloaded: boolean;
}

export interface LookupLoad {
  readonly kind: 'lookups';
  readonly jobCount: number;
  readonly keysPerJob: number;
  readonly inFlightCount: number;
  /** Records in the archive, of which keys are drawn. */
  readonly archiveCount: number;
}

export interface LatencyLoad {
  readonly kind: 'latency';
  readonly putCount: number;
}

export type Load = PutLoad | LookupLoad | LatencyLoad;

export const loadNames = [
  'puts-100',
  'puts-100-backlog',
  'puts-1',
  'puts-1-backlog',
  'lookups-1',
  'lookups-100',
  'latency',
] as const;
export type LoadName = (typeof loadNames)[number];

export const loadTitles: Readonly<Record<LoadName, string>> = {
  'puts-100': 'jobs of 100 records, producer running: records a second',
  'puts-100-backlog': 'jobs of 100 records, from a backlog: records a second',
  'puts-1': 'jobs of one record, producer running: records a second',
  'puts-1-backlog': 'jobs of one record, from a backlog: records a second',
  'lookups-1': 'lookups of one key, 64 in flight: keys a second',
  'lookups-100': 'lookups of 100 keys, 16 in flight: keys a second',
  latency: 'single put with receipt on an idle worker: puts a second, one after the other',
};

/** The load of this name, in proportion to the records of the first one. */
export function loadOf(name: LoadName, recordCount: number): Load {
  const part = (divisor: number): number => Math.max(1, Math.round(recordCount / divisor));
  const archiveCount = part(2);
  switch (name) {
    case 'puts-100':
    case 'puts-100-backlog':
      return { kind: 'puts', jobCount: part(100), recordsPerJob: 100, preloaded: name === 'puts-100-backlog' };
    case 'puts-1':
    case 'puts-1-backlog':
      return { kind: 'puts', jobCount: part(5), recordsPerJob: 1, preloaded: name === 'puts-1-backlog' };
    case 'lookups-1':
      return { kind: 'lookups', jobCount: part(10), keysPerJob: 1, inFlightCount: 64, archiveCount };
    case 'lookups-100':
      return { kind: 'lookups', jobCount: part(100), keysPerJob: 100, inFlightCount: 16, archiveCount };
    case 'latency':
      return { kind: 'latency', putCount: part(1000) };
  }
}
