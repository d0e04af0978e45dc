/**
 * Gets of random keys of the whole store, in three ways: one at a time, many in flight, many a call. Keys are made and
 * values hashed off the clock, block by block, so that neither costs the contender time or memory.
 */
import { unreachable } from '../../src/base/assert.ts';
import type { Contender, ContenderReader, Found } from '../contender/contender.ts';
import { dropPageCache, fillPageCache } from '../disk-use.ts';
import { limitMemory } from '../memory-limit.ts';
import { mebibyte } from '../numbers.ts';
import { ValuesHash, type Workload } from '../workload.ts';

export const getWays = ['serial', 'in-flight', 'many'] as const;
export type GetWay = (typeof getWays)[number];

export const inFlightCount = 64;
export const keysPerCall = 100;

export interface GetCounts {
  /** Keys for each way with the data in the page cache; 0 for none. */
  readonly warmCount: number;
  /** Keys for each way with an empty page cache. */
  readonly coldCount: number;
  /** Memory for the process and its page cache during those; 0 for no limit. */
  readonly coldMemoryMiB: number;
}

export interface GetResult {
  readonly way: GetWay;
  readonly count: number;
  readonly ms: number;
}

export interface GetsResult {
  readonly warm: readonly GetResult[];
  /** Empty where the page cache cannot be emptied. */
  readonly cold: readonly GetResult[];
  /** Whether memory was limited for the cold ones. */
  readonly wasLimited: boolean;
  /** Over all values in the order of the phases; of the warm ones only where there are no cold ones. */
  readonly hash: string;
}

/** One way, at one temperature: its keys are a series of their own. */
interface Phase {
  readonly way: GetWay;
  readonly series: number;
  readonly count: number;
}

const blockBytesMax = 64 * mebibyte;
const blockCountMax = 10_000;
const warmUpCount = 2000;

/** Reads from a closed store; undefined when it has no lookup. */
export async function measureGets(
  contender: Contender,
  workload: Workload,
  counts: GetCounts,
  directory: string,
): Promise<GetsResult | undefined> {
  const hash = new ValuesHash();
  const warm = await measureWarm(contender, workload, counts, { hash, directory });
  if (warm === undefined) return undefined;
  const endLimit = counts.coldCount > 0 ? await coldLimit(counts) : undefined;
  try {
    const cold = await measureCold(contender, workload, counts, hash);
    return { warm, cold, wasLimited: endLimit !== undefined, hash: hash.digest() };
  } finally {
    await endLimit?.();
  }
}

/** The hash that a store which lost and mixed up nothing must come to. */
export function expectedHash(workload: Workload, counts: GetCounts, withCold: boolean): string {
  const hash = new ValuesHash();
  for (const phase of [...warmPhases(counts), ...(withCold ? coldPhases(counts) : [])]) {
    for (const positions of blocksOf(phase, workload)) hash.add(positions.map((at) => workload.record(at).value));
  }
  return hash.digest();
}

async function measureWarm(
  contender: Contender,
  workload: Workload,
  counts: GetCounts,
  { hash, directory }: { readonly hash: ValuesHash; readonly directory: string },
): Promise<GetResult[] | undefined> {
  const reader = await contender.reopen();
  if (reader === undefined) return undefined;
  const warmUp = workload.positions(getWays.length * 2, Math.min(counts.warmCount, warmUpCount));
  await reader.getMany(warmUp.map((at) => workload.record(at).key));
  const results: GetResult[] = [];
  for (const phase of warmPhases(counts)) {
    await fillPageCache(directory);
    results.push(await measure(reader, workload, phase, hash));
  }
  await reader.close();
  return results;
}

/** The cache is emptied first: pages that others have read would not be counted. */
async function coldLimit({ coldMemoryMiB }: GetCounts): Promise<(() => Promise<void>) | undefined> {
  return coldMemoryMiB > 0 && (await dropPageCache()) ? limitMemory(coldMemoryMiB) : undefined;
}

/** The store is opened anew for each way: while it is open, a memory map would keep its pages. */
async function measureCold(
  contender: Contender,
  workload: Workload,
  counts: GetCounts,
  hash: ValuesHash,
): Promise<GetResult[]> {
  const results: GetResult[] = [];
  for (const phase of coldPhases(counts)) {
    if (!(await dropPageCache())) return [];
    const reader = await contender.reopen();
    if (reader === undefined) return [];
    results.push(await measure(reader, workload, phase, hash));
    await reader.close();
  }
  return results;
}

function warmPhases({ warmCount }: GetCounts): Phase[] {
  return warmCount === 0 ? [] : getWays.map((way, series) => ({ way, series, count: warmCount }));
}

function coldPhases({ coldCount }: GetCounts): Phase[] {
  return coldCount === 0 ? [] : getWays.map((way, at) => ({ way, series: getWays.length + at, count: coldCount }));
}

async function measure(
  reader: ContenderReader,
  workload: Workload,
  phase: Phase,
  hash: ValuesHash,
): Promise<GetResult> {
  let ms = 0;
  for (const positions of blocksOf(phase, workload)) {
    const keys = positions.map((at) => workload.record(at).key);
    // What making keys and hashing values left behind is no contender's garbage.
    globalThis.gc?.();
    const startMs = performance.now();
    const found = await get(reader, keys, phase.way);
    ms += performance.now() - startMs;
    hash.add(found);
  }
  return { way: phase.way, count: phase.count, ms };
}

function* blocksOf({ series, count }: Phase, workload: Workload): Generator<number[]> {
  const positions = workload.positions(series, count);
  const size = Math.max(keysPerCall, Math.min(blockCountMax, Math.floor(blockBytesMax / workload.recordBytes)));
  for (let start = 0; start < count; start += size) yield positions.slice(start, start + size);
}

function get(reader: ContenderReader, keys: readonly Buffer[], way: GetWay): Promise<readonly Found[]> {
  switch (way) {
    case 'serial':
      return getOneByOne(reader, keys);
    case 'in-flight':
      return getInFlight(reader, keys);
    case 'many':
      return getTogether(reader, keys);
    default:
      return unreachable(way);
  }
}

async function getOneByOne(reader: ContenderReader, keys: readonly Buffer[]): Promise<readonly Found[]> {
  const found: Found[] = [];
  for (const key of keys) {
    const got = reader.get(key);
    found.push(got instanceof Promise ? await got : got);
  }
  return found;
}

async function getInFlight(reader: ContenderReader, keys: readonly Buffer[]): Promise<readonly Found[]> {
  const found: Found[] = new Array(keys.length);
  const waiting = keys.entries();
  const lane = async (): Promise<void> => {
    for (const [at, key] of waiting) {
      const got = reader.get(key);
      found[at] = got instanceof Promise ? await got : got;
    }
  };
  await Promise.all(Array.from({ length: inFlightCount }, lane));
  return found;
}

async function getTogether(reader: ContenderReader, keys: readonly Buffer[]): Promise<readonly Found[]> {
  const found: Found[] = [];
  for (let start = 0; start < keys.length; start += keysPerCall) {
    found.push(...(await reader.getMany(keys.slice(start, start + keysPerCall))));
  }
  return found;
}
