/**
 * Small stores for tests of damage: what is on disk, what a caller has saved beside it, and what must be read back.
 *
 * `judge` is the rule for all of them: a store that was tampered with is either opened, and then every committed
 * record is right, or refused by an error that says what was found and what was expected; then no byte has changed.
 */
import assert from 'node:assert/strict';
import { BlobError } from '../../../src/blob/blob-error.ts';
import { DiskError } from '../../../src/disk/disk-error.ts';
import type { Checkpoint } from '../../../src/freezer/checkpoint.ts';
import { Freezer } from '../../../src/freezer/freezer.ts';
import { FreezerError } from '../../../src/freezer/freezer-error.ts';
import type { FreezerSettings } from '../../../src/freezer/settings.ts';
import type { FreezerStart, TableState } from '../../../src/freezer/start.ts';
import { bytesCodec } from '../../../src/freezer/value-codec.ts';
import type { JournalEnd } from '../../../src/journal/journal-end.ts';
import { SimulatedDisk } from '../../simulation/simulated-disk.ts';

export type Settings = FreezerSettings<Uint8Array>;

export const storeSettings: Settings = {
  keyPartition: 'key',
  valuePartition: 'value',
  tablePartition: 'table',
  keySize: 8,
  keyPageCache: { pageSize: 64, pages: 16 },
  valueCodec: bytesCodec,
  keyWriteBuffer: 4096,
  valueWriteBuffer: 4096,
  valueTargetSize: 1 << 20,
  tableInitialSize: 4,
  tableResizeFrequency: 100,
  tableResizeChunkSize: 1,
  tableReplayBuffer: 4096,
  tableChangesMax: 1024,
};

/** A key of eight bytes that ends in the number. */
export function keyOf(number: number): Buffer {
  const key = Buffer.alloc(8);
  key.writeUInt32BE(number, 4);
  return key;
}

/** A value of a size of its own. */
export function valueFor(number: number): Buffer {
  return Buffer.alloc(3 + (number % 23), number + 1);
}

export interface Put {
  readonly key: number;
  readonly value: Uint8Array;
}

/** Puts of keys with the values of their own numbers. */
export function putsOf(...keys: number[]): Put[] {
  return keys.map((key) => ({ key, value: valueFor(key) }));
}

export function entriesOf(puts: readonly Put[]): { key: Buffer; value: Uint8Array }[] {
  return puts.map(({ key, value }) => ({ key: keyOf(key), value }));
}

/** One step of making a store: some puts, and how they are made durable. */
export type Stage = { readonly sync: readonly Put[] } | { readonly commit: readonly Put[] };

/** What a get of each key may give: one of these values, where `undefined` stands for missing. */
export type Expected = ReadonlyMap<number, readonly (Uint8Array | undefined)[]>;

/** What was durable at a sync. */
export interface Saved {
  readonly checkpoint: Checkpoint;
  readonly table: TableState;
  readonly end: JournalEnd;
}

export interface SmallStore {
  readonly settings: Settings;
  readonly files: ReadonlyMap<string, Buffer>;
  /** One for each sync, the last is the newest. */
  readonly saved: readonly Saved[];
  readonly sealed: readonly JournalEnd[];
  /** End of the commit before the last one. */
  readonly mark: JournalEnd | undefined;
  /** Where the journals end. */
  readonly end: JournalEnd;
  /** All records at the newest checkpoint. */
  readonly atCheckpoint: Expected;
  /** What roll-forward must find, whatever became of the last commit. */
  readonly rolledForward: Expected;
  /** The last sync ended the store: a clean start is right. */
  readonly atRest: boolean;
}

/** Makes a store in the stages given. */
export async function makeStore(stages: readonly Stage[], changes: Partial<Settings> = {}): Promise<SmallStore> {
  const settings = { ...storeSettings, ...changes };
  const disk = new SimulatedDisk();
  const sealed: JournalEnd[] = [];
  const freezer = await Freezer.open(
    disk,
    settings,
    { kind: 'create' },
    { sealed: async (end) => void sealed.push(end) },
  );
  const saved: Saved[] = [];
  let mark: JournalEnd | undefined;
  for (const stage of stages) {
    await freezer.putMany(entriesOf('sync' in stage ? stage.sync : stage.commit));
    if ('sync' in stage) {
      await freezer.sync(async (checkpoint, table) => void saved.push({ checkpoint, table, end: freezer.committed }));
      continue;
    }
    await freezer.commit(async (previous) => {
      mark = previous;
    });
  }
  const { end } = freezer;
  await freezer.release();
  const lastSync = stages.findLastIndex((stage) => 'sync' in stage);
  return {
    settings,
    files: disk.snapshot(),
    saved,
    sealed,
    mark,
    end,
    atCheckpoint: expectedOf(stages.slice(0, lastSync + 1), []),
    rolledForward: expectedOf(stages.slice(0, -1), stages.slice(-1)),
    atRest: lastSync === stages.length - 1,
  };
}

/** What gets must give when the sure stages are there, and each of the open ones may be. */
function expectedOf(sure: readonly Stage[], open: readonly Stage[]): Expected {
  const expected = new Map<number, readonly (Uint8Array | undefined)[]>();
  const putsIn = (stages: readonly Stage[]): readonly Put[] =>
    stages.flatMap((stage) => ('sync' in stage ? stage.sync : stage.commit));
  for (const { key, value } of putsIn(sure)) expected.set(key, [value]);
  for (const { key, value } of putsIn(open)) {
    if (open.some((stage) => 'sync' in stage)) expected.set(key, [value]);
    else expected.set(key, [...(expected.get(key) ?? [undefined]), value]);
  }
  return expected;
}

export function newest(store: SmallStore): Saved {
  const saved = store.saved.at(-1);
  assert.ok(saved !== undefined, 'a store with a sync');
  return saved;
}

export interface NamedStart {
  readonly name: string;
  readonly start: FreezerStart;
  readonly expected: Expected;
}

/** The ways in which the newest state of a store may be opened. */
export function startsOf(store: SmallStore): readonly NamedStart[] {
  const { checkpoint, table } = newest(store);
  const { sealed, mark, rolledForward, atCheckpoint } = store;
  const starts: NamedStart[] = [
    { name: 'checkpoint', start: { kind: 'checkpoint', checkpoint }, expected: atCheckpoint },
    {
      name: 'roll-forward',
      start: { kind: 'roll-forward', checkpoint, mark, sealed },
      expected: rolledForward,
    },
  ];
  if (!store.atRest) return starts;
  return [...starts, { name: 'clean', start: { kind: 'clean', checkpoint, table, sealed }, expected: atCheckpoint }];
}

/** How the reads of an opened store are judged. */
export type Reads =
  /** Every value is right. */
  | 'right'
  /** Every value is right, or an error tells of damage. */
  | 'right-or-failed';

export type Verdict =
  | { readonly kind: 'opened'; readonly failed: number }
  | { readonly kind: 'refused'; readonly error: Error };

/** Opens what is on the disk and holds it against the rule. */
export async function judge(
  disk: SimulatedDisk,
  settings: Settings,
  { start, expected }: Pick<NamedStart, 'start' | 'expected'>,
  reads: Reads,
): Promise<Verdict> {
  const before = disk.snapshot();
  let freezer: Freezer<Uint8Array>;
  try {
    freezer = await Freezer.open(disk, settings, start);
  } catch (error) {
    assert.deepEqual(disk.openHandles, [], 'a refusal leaves no handle open');
    assertTyped(error);
    assertSame(before, disk);
    return { kind: 'refused', error };
  }
  const failed = await checkReads(freezer, expected, reads);
  await freezer.release();
  return { kind: 'opened', failed };
}

/** Every key gives what is expected; the number of keys that gave an error of damage. */
export async function checkReads(freezer: Freezer<Uint8Array>, expected: Expected, reads: Reads): Promise<number> {
  const keys = [...expected.keys()];
  const lookups = await freezer.lookupMany(keys.map((key) => ({ key: keyOf(key) })));
  let failed = 0;
  for (const [index, lookup] of lookups.entries()) {
    const key = keys[index] ?? 0;
    if (lookup.kind === 'failed') {
      assert.equal(reads, 'right-or-failed', `key ${key}: ${lookup.error.message}`);
      assertTyped(lookup.error);
      failed++;
      continue;
    }
    const found = lookup.kind === 'found' ? hexOf(lookup.value) : 'missing';
    const allowed = (expected.get(key) ?? []).map(hexOf);
    assert.ok(allowed.includes(found), `key ${key}: expected ${allowed.join(' or ')}, found ${found}`);
  }
  return failed;
}

function hexOf(value: Uint8Array | undefined): string {
  return value === undefined ? 'missing' : Buffer.from(value).toString('hex');
}

/** An error of the engine that says what was found and what was expected, and where. */
export function assertTyped(error: unknown): asserts error is Error {
  assert.ok(
    error instanceof FreezerError || error instanceof BlobError || error instanceof DiskError,
    `not an error of the engine: ${error instanceof Error ? error.stack : String(error)}`,
  );
  const { details } = error;
  const named = ('expected' in details && 'found' in details) || error instanceof DiskError;
  assert.ok(named, `${error.name} ${error.code} does not say what was expected and found: ${error.message}`);
}

/** Not one byte on the disk has changed. */
export function assertSame(before: ReadonlyMap<string, Buffer>, disk: SimulatedDisk): void {
  const after = disk.snapshot();
  assert.deepEqual([...after.keys()], [...before.keys()], 'the same files');
  for (const [path, bytes] of before) assert.ok(after.get(path)?.equals(bytes), `${path} has changed`);
}

/** The store's disk with one thing changed. */
export function tampered(store: SmallStore, change: (files: Map<string, Buffer>) => void): SimulatedDisk {
  const files = new Map(store.files);
  change(files);
  return SimulatedDisk.of(files);
}

/** The store's disk as it is. */
export function diskOf(store: SmallStore): SimulatedDisk {
  return SimulatedDisk.of(store.files);
}

export function fileOf(files: ReadonlyMap<string, Buffer>, path: string): Buffer {
  const bytes = files.get(path);
  assert.ok(bytes !== undefined, `${path} is a file of the store`);
  return bytes;
}
