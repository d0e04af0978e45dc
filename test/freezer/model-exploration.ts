/**
 * Random operations on a freezer and on a plain list side by side, crashes and reopenings among them. fast-check
 * shrinks what fails.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { messageOf } from '../../src/base/errors.ts';
import type { Freezer } from '../../src/freezer/freezer.ts';
import type { FreezerSettings } from '../../src/freezer/settings.ts';
import { isStopped } from '../simulation/crash-points.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import type { Survival } from '../simulation/survival.ts';
import { Keeper, smallSettings } from './keeper.ts';

type Operation =
  | { readonly kind: 'put'; readonly keys: readonly number[]; readonly size: number }
  | { readonly kind: 'get'; readonly key: number }
  | { readonly kind: 'versions'; readonly key: number }
  | { readonly kind: 'commit' | 'sync' | 'records' | 'reopen' }
  | { readonly kind: 'crash'; readonly survival: Survival };

interface Put {
  readonly key: number;
  readonly value: Buffer;
}

const keyCount = 12;
const key = fc.nat({ max: keyCount - 1 });
const survival = fc.oneof(fc.constantFrom<Survival>('synced', 'all', 'allDurable'), fc.record({ seed: fc.nat() }));
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      keys: fc.array(key, { minLength: 1, maxLength: 6 }),
      size: fc.nat({ max: 40 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('get' as const), key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('versions' as const), key }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom('commit' as const, 'sync' as const, 'records' as const, 'reopen' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('crash' as const), survival }) },
);
const settings: fc.Arbitrary<FreezerSettings<Uint8Array>> = fc.record({
  keyPartition: fc.constant('key'),
  valuePartition: fc.constant('value'),
  tablePartition: fc.constant('table'),
  keySize: fc.constant(8),
  keyPageCache: fc.record({ pageSize: fc.constantFrom(33, 64, 500), pages: fc.constantFrom(1, 16) }),
  valueCodec: fc.constant(smallSettings.valueCodec),
  valueCompression: fc.constantFrom(undefined, undefined, 3),
  keyWriteBuffer: fc.constantFrom(1, 1024),
  valueWriteBuffer: fc.constantFrom(1, 1024),
  valueTargetSize: fc.constantFrom(1, 90, 4096),
  tableInitialSize: fc.constantFrom(1, 2, 8),
  tableResizeFrequency: fc.constantFrom(1, 2, 254),
  tableResizeChunkSize: fc.constantFrom(1, 3, 1024),
  tableReplayBuffer: fc.constantFrom(1, 4096),
  tableChangesMax: fc.constant(1024),
});

class Run {
  readonly #settings: FreezerSettings<Uint8Array>;
  readonly #puts: Put[] = [];
  #disk = new SimulatedDisk();
  #store: { readonly keeper: Keeper; readonly freezer: Freezer<Uint8Array> } | undefined;
  #promised = 0;
  #salt = 0;

  constructor(chosen: FreezerSettings<Uint8Array>) {
    this.#settings = chosen;
  }

  async apply(operations: readonly Operation[]): Promise<void> {
    for (const next of operations) await this.#apply(next);
    await this.#compareAll();
    await (await this.#open()).freezer.release();
    assert.deepEqual(this.#disk.openHandles, []);
  }

  async #apply(next: Operation): Promise<void> {
    const { keeper, freezer } = await this.#open();
    switch (next.kind) {
      case 'put': {
        const puts = next.keys.map((number) => ({ key: number, value: this.#value(next.size) }));
        await freezer.putMany(puts.map((put) => ({ key: bytesOf(put.key), value: put.value })));
        this.#puts.push(...puts);
        return;
      }
      case 'get':
        return this.#compare(next.key);
      case 'versions': {
        const found: Buffer[] = [];
        for await (const version of freezer.versions(bytesOf(next.key))) found.push(Buffer.from(version.value));
        assert.deepEqual(
          found,
          this.#puts
            .filter((put) => put.key === next.key)
            .map((put) => put.value)
            .reverse(),
        );
        return;
      }
      case 'commit':
        await freezer.commit(keeper.saveMark);
        this.#promised = this.#puts.length;
        return;
      case 'sync':
        await freezer.sync(keeper.saveCheckpoint);
        this.#promised = this.#puts.length;
        return;
      case 'records':
        return this.#compareAll();
      case 'reopen':
        await freezer.close(keeper.saveCheckpoint);
        this.#promised = this.#puts.length;
        this.#store = undefined;
        return;
      case 'crash': {
        const survivor = this.#disk.crash(next.survival);
        this.#disk = survivor;
        this.#store = undefined;
        return this.#recover();
      }
    }
  }

  /** After a crash exactly a prefix of the puts is there, with everything that was promised. */
  async #recover(): Promise<void> {
    const { freezer } = await this.#open();
    let count = 0;
    for await (const record of freezer.records()) {
      const put = this.#puts[count++];
      assert.ok(put !== undefined, 'a record that was never put');
      assert.deepEqual([record.key, Buffer.from(record.value)], [bytesOf(put.key), put.value]);
    }
    assert.ok(count >= this.#promised, `promised ${this.#promised} records, found ${count}`);
    this.#puts.length = count;
    this.#promised = count;
    await this.#compareAll();
  }

  async #compareAll(): Promise<void> {
    for (let number = 0; number < keyCount; number++) await this.#compare(number);
  }

  async #compare(number: number): Promise<void> {
    const { freezer } = await this.#open();
    const expected = this.#puts.findLast((put) => put.key === number)?.value;
    const found = await freezer.get({ key: bytesOf(number) });
    assert.deepEqual(found === undefined ? undefined : Buffer.from(found), expected);
    assert.equal(await freezer.has(bytesOf(number)), expected !== undefined);
  }

  async #open(): Promise<{ readonly keeper: Keeper; readonly freezer: Freezer<Uint8Array> }> {
    this.#store ??= await Keeper.open(this.#disk, this.#settings);
    return this.#store;
  }

  #value(size: number): Buffer {
    const value = Buffer.alloc(size, this.#salt);
    if (size >= 4) value.writeUInt32BE(this.#salt);
    this.#salt++;
    return value;
  }
}

function bytesOf(number: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32BE(number, 4);
  return bytes;
}

export interface ModelExploration {
  readonly seed: number;
  /** Stores, each with up to 60 operations. */
  readonly stores: number;
  /** The way to one store and its operations, as a failure names it; all of them if not given. */
  readonly path?: string;
  /** Skips what is left. */
  readonly signal?: AbortSignal;
}

/** What was done; and what failed, if anything did, in its smallest form. */
export interface ModelExplored {
  readonly stores: number;
  readonly crashes: number;
  readonly operations: number;
  readonly failure: { readonly message: string; readonly path: string; readonly cause: unknown } | undefined;
}

export async function exploreModel({ seed, stores, path, signal }: ModelExploration): Promise<ModelExplored> {
  const done = { stores: 0, crashes: 0, operations: 0 };
  const property = fc.asyncProperty(
    settings,
    fc.array(operation, { maxLength: 60, size: 'max' }),
    async (chosen, operations) => {
      if (await isStopped(signal)) return;
      done.stores++;
      done.operations += operations.length;
      done.crashes += operations.filter(({ kind }) => kind === 'crash').length;
      await new Run(chosen).apply(operations);
    },
  );
  const result = await fc.check(property, { numRuns: stores, seed, ...(path !== undefined && { path }) });
  if (!result.failed) return { ...done, failure: undefined };
  const [chosen, operations] = result.counterexample ?? [];
  const message = `${JSON.stringify(chosen)} ${fc.stringify(operations)}: ${messageOf(result.errorInstance)}`;
  return { ...done, failure: { message, path: result.counterexamplePath ?? '', cause: result.errorInstance } };
}
