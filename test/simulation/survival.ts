import type { Random } from './random.ts';

/**
 * What is found after a crash.
 *
 * - `synced`: power loss; nothing but what a sync made durable.
 * - `all`: the process was killed; everything issued is readable, and stays exactly as durable as it was.
 * - `allDurable`: power loss just after the kernel had written everything back.
 * - a seed: power loss; whatever was not durable is kept, dropped, torn and reordered by the seed.
 */
export type Survival = 'synced' | 'all' | 'allDurable' | RandomSurvival;

export interface RandomSurvival {
  readonly seed: number;
  /** Sizes at whose multiples a write may be torn; one is drawn a file. */
  readonly sectorSizes?: readonly number[];
}

/** Whole sectors of common devices, a few bytes for files that are smaller than a sector, and single bytes. */
export const sectorSizesByDefault: readonly number[] = [1, 16, 512, 4096];

/** What decides about each change that is not durable, in the order in which the changes were made. */
export interface Fate {
  /** The parts of `[offset, end)` that reached the disk. */
  parts(offset: number, end: number): Iterable<Range>;
  /** Where, from 0 (before the first change) to `count` (after the last), the disk's idea of the size comes from. */
  sizeAt(count: number): number;
  /** A size between the two given. */
  sizeBetween(before: number, after: number): number;
  /** Whether a change that has no parts reached the disk. */
  kept(): boolean;
}

export interface Range {
  readonly offset: number;
  readonly end: number;
}

const nothing: readonly Range[] = [];

/** Nothing that was not durable survives. */
export const fateOfNothing: Fate = {
  parts: () => nothing,
  sizeAt: () => 0,
  sizeBetween: (before) => before,
  kept: () => false,
};

/** Everything survives. */
export const fateOfAll: Fate = {
  parts: (offset, end) => [{ offset, end }],
  sizeAt: (count) => count,
  sizeBetween: (_before, after) => after,
  kept: () => true,
};

/** The fate of one file or directory with `count` changes, drawn by the generator. */
export function drawFate(random: Random, count: number, sectorSizes: readonly number[]): Fate {
  switch (random.below(6)) {
    case 0:
      return { ...fateOfNothing, ...drawSize(random) };
    case 1:
      return { ...fateOfAll, ...drawSize(random) };
    case 2:
      return { ...drawPrefix(random, count), ...drawSize(random) };
    case 3:
      return { ...drawWhole(random), ...drawSize(random) };
    default:
      return { ...drawTorn(random, random.pick(sectorSizes)), ...drawSize(random) };
  }
}

/** In the order of writing up to some point, with the write at that point cut off in its middle. */
function drawPrefix(random: Random, count: number): Pick<Fate, 'parts' | 'kept'> {
  let left = random.below(count + 1);
  return {
    parts(offset, end) {
      left--;
      if (left > 0) return [{ offset, end }];
      return left === 0 && end > offset ? [{ offset, end: offset + random.below(end - offset) }] : nothing;
    },
    kept: () => --left >= 0,
  };
}

/** Each change wholly there or wholly missing, without order. */
function drawWhole(random: Random): Pick<Fate, 'parts' | 'kept'> {
  const keep = random.pick([0.1, 0.5, 0.9]);
  return {
    parts: (offset, end) => (random.chance(keep) ? [{ offset, end }] : nothing),
    kept: () => random.chance(keep),
  };
}

/** Each sector of each change there or missing, without order. */
function drawTorn(random: Random, sectorSize: number): Pick<Fate, 'parts' | 'kept'> {
  const keep = random.pick([0.2, 0.5, 0.8]);
  return {
    parts: (offset, end) => tornParts(random, sectorSize, keep, offset, end),
    kept: () => random.chance(keep),
  };
}

/** Runs of sectors; a run is one sector, or a few when the write has very many. */
function tornParts(random: Random, sectorSize: number, keep: number, offset: number, end: number): Range[] {
  const runMax = Math.max(1, Math.floor((end - offset) / sectorSize / 32));
  const parts: Range[] = [];
  for (let at = offset; at < end; ) {
    const sectorStart = at - (at % sectorSize);
    const next = Math.min(end, sectorStart + sectorSize * random.between(1, runMax));
    if (random.chance(keep)) parts.push({ offset: at, end: next });
    at = next;
  }
  return parts;
}

/** The size lives in the inode and is written apart from the data. */
function drawSize(random: Random): Pick<Fate, 'sizeAt' | 'sizeBetween'> {
  const between = random.chance(0.2);
  return {
    sizeAt(count) {
      const kind = random.below(4);
      return kind === 0 ? 0 : kind === 1 ? random.below(count + 1) : count;
    },
    sizeBetween: (before, after) =>
      between ? random.between(Math.min(before, after), Math.max(before, after)) : after,
  };
}
