/** The stores that the tests of refusals tamper with: each puts another part of the engine on the disk. */
import { makeStore, type Put, putsOf, type SmallStore, valueFor } from '../hazards/small-store.ts';

export interface NamedStore {
  readonly name: string;
  readonly store: SmallStore;
}

/** Keys that are put twice: an old value must never come back. */
const rewritten = [1, 4].map((key) => ({ key, value: valueFor(key + 100) }));

/** Two sealed sections and a third that grows; nothing behind the checkpoint. */
const atRest = await makeStore(
  [{ sync: putsOf(1, 2, 3) }, { sync: [...putsOf(4, 5), ...rewritten] }, { sync: putsOf(6, 7, 8) }],
  { valueTargetSize: 40, tableResizeChunkSize: 4 },
);

/** The table is in the middle of a resize; every bucket changed in the epoch before the last, some in the last. */
const resizing = await makeStore(
  [{ sync: putsOf(1, 2, 3, 4, 5, 6, 7, 8) }, { sync: rewritten }, { sync: putsOf(9, 10) }],
  { tableResizeFrequency: 2 },
);

/** Commits behind the checkpoint, in its section and the next ones; the mark lies before the last commit. */
const committed = await makeStore(
  [
    { sync: putsOf(1, 2, 3) },
    { sync: putsOf(4) },
    { commit: [...putsOf(5), ...rewritten] },
    { commit: putsOf(6, 7) },
    { commit: putsOf(8, 9) },
  ],
  { valueTargetSize: 60 },
);

/** As before, with checkpoint, mark and last commit in one section. */
const oneSection = await makeStore([
  { sync: putsOf(1, 2) },
  { commit: [...putsOf(3), ...rewritten] },
  { commit: putsOf(5, 6) },
]);

/** Three sections of the same sizes, with values of the same size: sizes tell nothing. */
const uniform = await makeStore(
  [{ sync: sameSize(1, 2, 3) }, { sync: sameSize(4, 5, 6) }, { sync: sameSize(7, 8, 9) }],
  { valueTargetSize: 30 },
);

function sameSize(...keys: number[]): Put[] {
  return keys.map((key) => ({ key, value: Buffer.alloc(7, key) }));
}

/** Values are compressed. */
const compressed = await makeStore([{ sync: putsOf(1, 2, 3) }, { sync: rewritten }], { valueCompression: 3 });

/** Synced, but nothing was ever put. */
const empty = await makeStore([{ sync: [] }]);

export const stores: readonly NamedStore[] = [
  { name: 'a store at rest', store: atRest },
  { name: 'a store in the middle of a resize', store: resizing },
  { name: 'a store with commits behind its checkpoint', store: committed },
  { name: 'a store with commits in the section of its checkpoint', store: oneSection },
  { name: 'a store of sections of one size', store: uniform },
  { name: 'a compressed store', store: compressed },
  { name: 'an empty store', store: empty },
];

/** A copy with one bit changed. */
export function flipped(bytes: Buffer, offset: number, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(offset) ^ (1 << bit), offset);
  return copy;
}

/** Says what was done to the store when its judgement fails. */
export async function told<T>(what: string, judged: () => Promise<T>): Promise<T> {
  try {
    return await judged();
  } catch (error) {
    throw new Error(what, { cause: error });
  }
}

/**
 * Frames carry nothing but their checksum: two value files with frames of the same sizes cannot be told apart by this
 * format, and the engine does not try. Values that name their keys can be checked by who reads them.
 */
export function sizesTellNothing({ end, sealed }: SmallStore): boolean {
  return sealed.length > 0 && sealed.every((line) => line.valueBytes === end.valueBytes);
}
