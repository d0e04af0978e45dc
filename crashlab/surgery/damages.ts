/** What is done to the files of a shard. Each damage says which files are not what was written any more. */
import { present } from '../../src/base/assert.ts';
import { headerSize } from '../../src/blob/header.ts';
import { physicalPageSize } from '../../src/blob/page.ts';
import { bucketDamage, bucketSize, slotSize, slotState } from '../../src/freezer/table-entry.ts';
import { checkpointFile } from '../../src/shard/checkpoint-file.ts';
import { commitMarkFile } from '../../src/shard/commit-mark.ts';
import { tableFile } from '../../src/shard/engine-settings.ts';
import { slotSpacing } from '../../src/shard/two-slot-file.ts';
import type { Random } from '../../test/simulation/random.ts';
import type { SimulatedDisk } from '../../test/simulation/simulated-disk.ts';
import { type Sample, type Stored, sampleEngine } from './sample.ts';

export type Files = ReadonlyMap<string, Buffer>;

export interface Damage {
  readonly what: string;
  /** The files that change, with what they hold then; undefined for one that is gone. */
  readonly changes: ReadonlyMap<string, Buffer | undefined>;
  /** Both files of a section, or of two, are from elsewhere, with these records. */
  readonly sections?: readonly Stored[];
  /** Whole files are from elsewhere: what they say of positions is about other records. */
  readonly isReplaced?: true;
  /**
   * A section file is from a section whose values end at the same byte. Opening looks at samples only and may take it
   * for the right one; to tell is for verify.
   */
  readonly isTwin?: true;
}

export type Damages = (sample: Sample, random: Random) => AsyncIterable<Damage> | Iterable<Damage>;

export function apply(damage: Damage, disk: SimulatedDisk): void {
  for (const [path, bytes] of damage.changes) {
    if (bytes === undefined) disk.mutate(path, () => undefined);
    else disk.place(path, Buffer.from(bytes));
  }
}

/** Whether a byte is another than before. */
export function changesAnything({ changes }: Damage, files: Files): boolean {
  return [...changes].some(([path, bytes]) => {
    const before = files.get(path);
    return bytes === undefined || before === undefined || !bytes.equals(before);
  });
}

/** The buckets of the table of which a slot was zeroed as a whole: that is how empty ones look. */
export function emptiedBuckets({ changes }: Damage, files: Files): ReadonlySet<number> {
  const before = files.get(tableFile);
  const after = changes.get(tableFile);
  const emptied = new Set<number>();
  if (changes.size !== 1 || before === undefined || after?.length !== before.length) return emptied;
  for (let at = headerSize; at < before.length; at += slotSize)
    if (slotState(before, at) !== 'empty' && slotState(after, at) === 'empty')
      emptied.add(Math.floor((at - headerSize) / bucketSize));
  return emptied;
}

/** Whether each bucket could have been written. */
export function isSoundTable(bytes: Buffer): boolean {
  const buckets = bytes.subarray(headerSize);
  if (buckets.length % bucketSize !== 0) return false;
  for (let at = 0; at < buckets.length; at += bucketSize) if (bucketDamage(buckets, at) !== undefined) return false;
  return true;
}

/** A bit of every byte of every file, the random numbers say which. */
export function* flippedBits({ disk }: Sample, random: Random): Generator<Damage> {
  for (const [path, bytes] of disk.snapshot()) {
    for (const at of placesIn(path, bytes.length)) {
      const bit = random.below(8);
      yield patched(path, bytes, at, Buffer.of((bytes[at] ?? 0) ^ (1 << bit)), `bit ${bit} of byte ${at}`);
    }
  }
}

/** Every file cut to every length, and extended by zeros, by random bytes and by its own beginning. */
export function* lengths({ disk }: Sample, random: Random): Generator<Damage> {
  for (const [path, bytes] of disk.snapshot()) {
    for (const size of placesIn(path, bytes.length))
      yield { what: `${path} cut to ${size}`, changes: new Map([[path, bytes.subarray(0, size)]]) };
    const page = physicalPageSize(sampleEngine.pageSize);
    const tails: readonly (readonly [string, Buffer])[] = [
      ...[1, page, slotSpacing].map((size) => ['zeros', Buffer.alloc(size)] as const),
      ...[1, page, slotSpacing].map((size) => ['random bytes', random.bytes(size)] as const),
      ['its own beginning', bytes.subarray(headerSize, headerSize + page)],
      ['its own end', bytes.subarray(Math.max(0, bytes.length - page))],
    ];
    for (const [name, tail] of tails) {
      const what = `${path} extended by ${name}, ${tail.length} bytes`;
      yield { what, changes: new Map([[path, Buffer.concat([bytes, tail])]]) };
    }
  }
}

/** Every aligned piece of every file, of the sizes in which disks and caches lose them, zeroed and overwritten. */
export function* lostPages({ disk }: Sample, random: Random): Generator<Damage> {
  const page = physicalPageSize(sampleEngine.pageSize);
  for (const [path, bytes] of disk.snapshot()) {
    for (const [start, step] of [
      [0, 16],
      [0, 64],
      [headerSize, page],
      [0, 512],
      [0, 4096],
      ...(path === tableFile ? ([[headerSize, slotSize]] as const) : []),
    ] as const) {
      for (let at = start; at < bytes.length; at += step) {
        const size = Math.min(step, bytes.length - at);
        yield patched(path, bytes, at, Buffer.alloc(size), `${size} bytes from ${at} zeroed`);
        yield patched(path, bytes, at, random.bytes(size), `${size} bytes from ${at} random`);
      }
    }
  }
}

/** Every file removed, every two files swapped, every file and section taken from other shards. */
export function movedFiles(others: (sample: Sample, seed: number) => Promise<readonly Sample[]>): Damages {
  return async function* moved(sample, random): AsyncGenerator<Damage> {
    const files = sample.disk.snapshot();
    const paths = [...files.keys()];
    for (const path of paths) yield { what: `${path} removed`, changes: new Map([[path, undefined]]) };
    for (const [index, path] of paths.entries())
      for (const partner of paths.slice(index + 1)) yield swapped(files, [[path, partner]]);
    // Behind the commit mark whole sections from elsewhere can look like the records that were to come.
    const isWhole = sample.kind === 'closed';
    if (isWhole) yield* swappedSections(files);
    for (const [index, other] of (await others(sample, random.u32())).entries()) {
      yield* foreignFiles(files, other, index);
      if (isWhole) yield* foreignSections(files, other, index);
    }
  };
}

function* swappedSections(files: Files): Generator<Damage> {
  const names = sectionNames(files);
  for (const [index, name] of names.entries())
    for (const partner of names.slice(index + 1))
      yield {
        ...swapped(files, [
          [`key/${name}`, `key/${partner}`],
          [`value/${name}`, `value/${partner}`],
        ]),
        sections: [],
      };
}

function* foreignFiles(files: Files, other: Sample, index: number): Generator<Damage> {
  const theirs = other.disk.snapshot();
  for (const path of files.keys())
    for (const [source, bytes] of theirs) {
      if (folderOf(source) !== folderOf(path)) continue;
      const twin = isTwin(files, path, theirs, source) ? { isTwin: true as const } : {};
      const what = `${path} is ${source} of other shard ${index}`;
      yield { what, changes: new Map([[path, bytes]]), isReplaced: true, ...twin };
    }
}

function* foreignSections(files: Files, other: Sample, index: number): Generator<Damage> {
  const theirs = other.disk.snapshot();
  for (const name of sectionNames(files)) {
    const pair = [`key/${name}`, `value/${name}`].flatMap((path) => {
      const bytes = theirs.get(path);
      return bytes === undefined || isTwin(files, path, theirs, path) ? [] : [[path, bytes] as const];
    });
    if (pair.length < 2) continue;
    yield { what: `section ${name} is of other shard ${index}`, changes: new Map(pair), sections: other.stored };
  }
}

function folderOf(path: string): string {
  return path.split('/')[0] ?? path;
}

/** Whether two section files belong to sections whose values end at the same byte. */
function isTwin(files: Files, path: string, theirs: Files, source: string): boolean {
  const valuesOf = (name: string): string => `value/${name.split('/')[1] ?? ''}`;
  const size = files.get(valuesOf(path))?.length;
  return folderOf(path) === folderOf(source) && size !== undefined && size === theirs.get(valuesOf(source))?.length;
}

function sectionNames(files: Files): string[] {
  return [...files.keys()].flatMap((path) => (path.startsWith('key/') ? [path.slice('key/'.length)] : []));
}

function swapped(files: Files, pairs: readonly (readonly [string, string])[]): Damage {
  const changes = new Map<string, Buffer>();
  for (const [left, right] of pairs) {
    changes.set(left, present(files.get(right), 'a file'));
    changes.set(right, present(files.get(left), 'a file'));
  }
  const what = `${pairs.map((pair) => pair.join(' and ')).join(', ')} swapped`;
  const twin = pairs.some(([left, right]) => isTwin(files, left, files, right)) ? { isTwin: true as const } : {};
  return { what, changes, isReplaced: true, ...twin };
}

function patched(path: string, bytes: Buffer, at: number, patch: Buffer, what: string): Damage {
  const changed = Buffer.from(bytes);
  patch.copy(changed, at);
  return { what: `${path}: ${what}`, changes: new Map([[path, changed]]) };
}

/** Offsets of a file that are worth a case: all, but few of the padding of the two-slot files. */
function placesIn(path: string, size: number): number[] {
  const isSlots = path === checkpointFile || path === commitMarkFile;
  const all = Array.from({ length: size }, (_, at) => at);
  return isSlots ? all.filter((at) => at % slotSpacing < 130 || at % 509 === 0) : all;
}
