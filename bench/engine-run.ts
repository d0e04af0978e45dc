/** Child process of `bench engine`: measures one contender once and prints one JSON line. */
import { unreachable } from '../src/base/assert.ts';
import type { Contender, ContenderReader } from './contender.ts';
import { diskBytesOf, median, peakResidentBytes, percentile, storageBytesWritten } from './measure.ts';
import { hashOfValues, Workload, type WorkloadSize } from './workload.ts';

export const contenderNames = ['raw-log', 'classic-level', 'permafrost'] as const;
export type ContenderName = (typeof contenderNames)[number];

export interface EngineRunRequest extends WorkloadSize {
  readonly contender: ContenderName;
  readonly directory: string;
  readonly syncMs: number;
}

export interface EngineRun {
  readonly contender: ContenderName;
  /** Time of all durable batches; making the records is not in it. */
  readonly loadMs: number;
  readonly batchMedianMs: number;
  readonly batchP99Ms: number;
  readonly batchMaxMs: number;
  /** From the last batch to everything given back. */
  readonly closeMs: number;
  /** Written to storage by load and close, as the system counts it. */
  readonly storageBytes: number | undefined;
  readonly diskBytes: number;
  readonly peakResidentBytes: number;
  /** Of reading the sample back, warm, a batch a call; undefined for a store without lookup. */
  readonly readMs: number | undefined;
  readonly readCount: number;
  readonly readHash: string | undefined;
  readonly facts: Readonly<Record<string, number>>;
}

/** Loads only what this contender needs, so that its memory is its own. */
async function openContender(request: EngineRunRequest): Promise<Contender> {
  switch (request.contender) {
    case 'raw-log':
      return (await import('./raw-log.ts')).openRawLog(request.directory);
    case 'classic-level':
      return (await import('./classic-level-store.ts')).openClassicLevel(request.directory);
    case 'permafrost':
      return (await import('./permafrost-store.ts')).openPermafrost(
        request.directory,
        request.keyBytes,
        request.syncMs,
      );
    default:
      return unreachable(request.contender);
  }
}

async function runEngine(request: EngineRunRequest): Promise<EngineRun> {
  const workload = new Workload(request);
  const contender = await openContender(request);
  const writtenBefore = await storageBytesWritten();
  const batchesMs: number[] = [];
  for (let index = 0; index < workload.batches; index++) {
    const batch = workload.batch(index);
    batchesMs.push(await timed(() => contender.putDurably(batch)));
  }
  const closeMs = await timed(() => contender.close());
  const written = await storageBytesWritten();
  const peak = peakResidentBytes();
  return {
    contender: request.contender,
    loadMs: batchesMs.reduce((sum, ms) => sum + ms, 0),
    batchMedianMs: median(batchesMs),
    batchP99Ms: percentile(batchesMs, 0.99),
    batchMaxMs: percentile(batchesMs, 1),
    closeMs,
    storageBytes: written === undefined || writtenBefore === undefined ? undefined : written - writtenBefore,
    diskBytes: await diskBytesOf(request.directory),
    peakResidentBytes: peak,
    ...(await readBack(await contender.reopen(), workload)),
    facts: contender.facts(),
  };
}

type ReadBack = Pick<EngineRun, 'readMs' | 'readCount' | 'readHash'>;

async function readBack(reader: ContenderReader | undefined, workload: Workload): Promise<ReadBack> {
  if (reader === undefined) return { readMs: undefined, readCount: 0, readHash: undefined };
  const sample = workload.sample();
  const found: (Uint8Array | undefined)[] = [];
  const readMs = await timed(async () => {
    for (let start = 0; start < sample.length; start += workload.size.batchCount) {
      const keys = sample.slice(start, start + workload.size.batchCount).map((record) => record.key);
      found.push(...(await reader.getMany(keys)));
    }
  });
  await reader.close();
  const values = found.map((value) => value ?? Buffer.from('missing'));
  return { readMs, readCount: sample.length, readHash: hashOfValues(values) };
}

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

if (import.meta.main) {
  const request: EngineRunRequest = JSON.parse(process.argv[2] ?? '');
  console.log(JSON.stringify(await runEngine(request)));
}
