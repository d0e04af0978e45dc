import { yieldToLoop } from '../../src/base/yield.ts';
import type { Contender } from '../contender/contender.ts';
import { deviceBytesWritten, diskBytesOf, writeOut } from '../disk-use.ts';
import { median, percentile } from '../numbers.ts';
import {
  LoopDelay,
  type ProcessorTime,
  peakResidentBytes,
  processorTime,
  storageBytesWritten,
} from '../process-load.ts';
import type { Workload } from '../workload.ts';

export interface LoadResult {
  /** Time of all durable batches; making the records is not in it. */
  readonly loadMs: number;
  /** The same for each tenth of the records, in their order. */
  readonly tenthsMs: readonly number[];
  readonly batchMedianMs: number;
  readonly batchP99Ms: number;
  readonly batchMaxMs: number;
  /** 99.9th percentile, making the records included. */
  readonly loopDelayMs: number;
  /** Of load and close, making the records included. */
  readonly processor: ProcessorTime;
  /** From the last batch to everything given back. */
  readonly closeMs: number;
  /** Written to storage by load and close, as the system counts it for this process. */
  readonly storageBytes: number | undefined;
  /** The same as the device counts it, all processes included. */
  readonly deviceBytes: number | undefined;
  readonly diskBytes: number;
  readonly peakResidentBytes: number;
  readonly facts: Readonly<Record<string, number>>;
}

const tenths = 10;

/** Stores all records of the workload and closes the store. */
export async function load(contender: Contender, workload: Workload, directory: string): Promise<LoadResult> {
  await writeOut();
  const storageBefore = await storageBytesWritten();
  const deviceBefore = await deviceBytesWritten(directory);
  const processorBefore = processorTime();
  const delay = new LoopDelay();
  delay.start();
  const batchesMs: number[] = [];
  for (let index = 0; index < workload.batches; index++) {
    const batch = workload.batch(index);
    batchesMs.push(await timed(() => contender.putDurably(batch)));
    // A store that works in this thread alone would never let the event loop turn, and hide its delay.
    await yieldToLoop();
  }
  const loopDelayMs = delay.stop();
  const closeMs = await timed(() => contender.close());
  const processor = processorTime(processorBefore);
  const storageBytes = difference(storageBefore, await storageBytesWritten());
  const peak = peakResidentBytes();
  await writeOut();
  return {
    ...summaryOf(batchesMs),
    ...{ loopDelayMs, processor, closeMs, storageBytes, peakResidentBytes: peak },
    deviceBytes: difference(deviceBefore, await deviceBytesWritten(directory)),
    diskBytes: await diskBytesOf(directory),
    facts: contender.facts(),
  };
}

function summaryOf(batchesMs: readonly number[]) {
  return {
    loadMs: sum(batchesMs),
    tenthsMs: Array.from({ length: tenths }, (_, tenth) =>
      sum(batchesMs.slice(start(tenth, batchesMs.length), start(tenth + 1, batchesMs.length))),
    ),
    batchMedianMs: median(batchesMs),
    batchP99Ms: percentile(batchesMs, 0.99),
    batchMaxMs: percentile(batchesMs, 1),
  };
}

function start(tenth: number, count: number): number {
  return Math.round((tenth * count) / tenths);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function difference(before: number | undefined, after: number | undefined): number | undefined {
  return before === undefined || after === undefined ? undefined : after - before;
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}
