/**
 * The check of a whole shard that nobody runs: every checksum, every record reachable from its key, all counts.
 *
 * It opens the shard as a worker does, so a shutdown that was interrupted is recovered first, and leaves it cleanly
 * closed. What is wrong is collected, not thrown; a shard that cannot be opened is read as far as it can be.
 */
import { codeOf, messageOf } from '../base/errors.ts';
import { headerSize } from '../blob/header.ts';
import type { Disk } from '../disk/disk.ts';
import type { Cursor } from '../freezer/cursor.ts';
import type { Freezer } from '../freezer/freezer.ts';
import { digestOf, type HeadDigests } from '../freezer/head-digests.ts';
import { recordSize } from '../freezer/key-record.ts';
import type { StoredRecord } from '../freezer/records.ts';
import { type Loss, salvage } from '../freezer/salvage.ts';
import { bucketDamage, bucketSize } from '../freezer/table-entry.ts';
import type { RecordPosition } from '../journal/key-index.ts';
import type { SavedCheckpoint } from './checkpoint-file.ts';
import { archiveKey, archiveKeySize, freezerSettingsOf, sectionFiles, tableFile } from './engine-settings.ts';
import type { Envelope } from './envelope.ts';
import { describeSize, sectionEnds, sectionSizeDamage, smallFileDamage } from './file-check.ts';
import { lossText } from './loss-text.ts';
import { openShardStore } from './open-shard.ts';
import type { OwnerLock } from './owner-lock.ts';
import type { ShardSettings } from './settings.ts';
import { ShardError } from './shard-error.ts';
import type { VolumeState } from './start-up.ts';
import type { Store, StoreDeps } from './store.ts';
import { readVolume } from './volume.ts';

export interface VerifyReport {
  /** Records that were read whole. */
  readonly recordCount: number;
  /** Bytes of their payloads. */
  readonly payloadBytes: number;
  readonly sectionCount: number;
  /** Undefined when the shard could not be opened. */
  readonly shard: { readonly instance: string; readonly epoch: number; readonly tableSize: number } | undefined;
  /** What is wrong, the first `problemsMax` of it. */
  readonly problems: readonly string[];
  readonly problemCount: number;
}

export interface VerifyDeps extends Omit<StoreDeps, 'engine'> {
  readonly lock: OwnerLock;
}

export const problemsMax = 1000;
/** Records whose keys are looked up together. */
const batchCount = 256;
const tableStepBuckets = 16_384;

/**
 * Checks the shard and says what it found. Rejects only when the directory is another process's, or holds nothing of a
 * shard (`checkpoint-missing`); then nothing is made there.
 */
export async function verifyShard(deps: VerifyDeps, settings: ShardSettings): Promise<VerifyReport> {
  const volume = await readVolume(deps.disk).catch(() => undefined);
  if (volume?.kind === 'empty') throw noShard(volume);
  const held = await deps.lock.acquire();
  try {
    return await new Verification(deps, settings).run();
  } finally {
    held.release();
  }
}

class Verification {
  readonly #deps: VerifyDeps;
  readonly #settings: ShardSettings;
  readonly #problems: string[] = [];
  #problemCount = 0;
  #recordCount = 0;
  #payloadBytes = 0;
  /** Records that were read of each section. */
  readonly #counts = new Map<number, number>();
  readonly #tails: Loss[] = [];

  constructor(deps: VerifyDeps, settings: ShardSettings) {
    this.#deps = deps;
    this.#settings = settings;
  }

  async run(): Promise<VerifyReport> {
    for (const problem of await smallFileDamage(this.#deps.disk)) this.#report(problem);
    await this.#checkSizes();
    const store = await this.#open();
    try {
      if (store !== undefined) await this.#checkTable(this.#deps.disk, store.saved, store.freezer.tableState.digests);
      await this.#checkRecords(store);
      await this.#close(store);
    } finally {
      await store?.release();
    }
    return {
      recordCount: this.#recordCount,
      payloadBytes: this.#payloadBytes,
      sectionCount: this.#counts.size,
      shard: store && shardOf(store),
      problems: this.#problems,
      problemCount: this.#problemCount,
    };
  }

  async #checkSizes(): Promise<void> {
    for (const damage of await sectionSizeDamage(this.#deps.disk, this.#settings.engine.pageSize))
      this.#report(`${damage.path}: ${describeSize(damage)}`);
  }

  async #open(): Promise<Store | undefined> {
    try {
      const volume = await readVolume(this.#deps.disk);
      if (volume.kind === 'empty' || volume.kind === 'unfinished') throw noShard(volume);
      return await openShardStore({ ...this.#deps, engine: this.#settings.engine }, this.#settings, undefined);
    } catch (error) {
      const suspects = codeOf(error) === 'checkpoint-mismatch' ? `; the key index, ${tableFile} or the checkpoint` : '';
      this.#report(`${messageOf(error)}${suspects}`);
      return undefined;
    }
  }

  async #close(store: Store | undefined): Promise<void> {
    try {
      await store?.sync({ clean: true });
    } catch (error) {
      this.#report(`it could not be closed cleanly: ${messageOf(error)}`);
    }
  }

  async #checkTable(
    disk: Disk,
    { checkpoint, table }: SavedCheckpoint,
    digests: HeadDigests | undefined,
  ): Promise<void> {
    const file = await disk.open(tableFile, { create: false });
    try {
      const size = await file.size();
      const expected = checkpoint.tableSize * (table.resizeProgress === undefined ? 1 : 2);
      const bucketCount = Math.min(expected, Math.floor((size - headerSize) / bucketSize));
      if (size !== headerSize + expected * bucketSize)
        this.#report(`${tableFile}: ${size} bytes found, ${headerSize + expected * bucketSize} expected`);
      for (let first = 0; first < bucketCount; first += tableStepBuckets) {
        const bytes = Buffer.allocUnsafe(Math.min(tableStepBuckets, bucketCount - first) * bucketSize);
        await file.read(headerSize + first * bucketSize, bytes);
        for (let at = 0; at < bytes.length; at += bucketSize) {
          const damage = bucketDamage(bytes, at);
          if (damage !== undefined) this.#report(`${tableFile}: bucket ${first + at / bucketSize}: ${damage.kind}`);
        }
        if (first < checkpoint.tableSize && digests !== undefined) this.#checkHeads(first, bytes, digests);
        this.#deps.progress?.(first, bucketCount, 'table');
      }
    } finally {
      await file.close();
    }
  }

  /** The heads of each window are those that were written. */
  #checkHeads(first: number, bytes: Buffer, digests: HeadDigests): void {
    const { windowBuckets, tableSize } = digests;
    for (let at = 0; at < bytes.length; at += windowBuckets * bucketSize) {
      const bucket = first + at / bucketSize;
      if (bucket >= tableSize) return;
      if (digestOf(bytes.subarray(at, at + windowBuckets * bucketSize)) === digests.of(digests.windowOf(bucket)))
        continue;
      const offset = headerSize + bucket * bucketSize;
      this.#report(
        `${tableFile} at ${offset}: buckets ${bucket} to ${bucket + windowBuckets - 1}: heads are missing or others`,
      );
    }
  }

  async #checkRecords(store: Store | undefined): Promise<void> {
    const expected = store === undefined ? undefined : store.recordCount;
    let batch: StoredRecord<Envelope>[] = [];
    for await (const found of salvage(this.#deps.disk, freezerSettingsOf(this.#settings.engine))) {
      if (found.kind === 'lost') {
        if (found.loss.isTail === true) this.#tails.push(found.loss);
        else this.#report(lossText(found.loss));
        continue;
      }
      this.#checkRecord(found.record);
      batch.push(found.record);
      if (batch.length < batchCount) continue;
      await this.#checkReachable(store?.freezer, batch);
      batch = [];
      this.#deps.progress?.(this.#recordCount, expected ?? 0, 'records');
    }
    await this.#checkReachable(store?.freezer, batch);
    // What a crash has torn, and recovery found not to count, may still lie behind the end.
    if (expected !== undefined && expected === this.#recordCount) return;
    for (const tail of this.#tails) this.#report(lossText(tail));
    if (expected === undefined) return this.#checkCounts();
    this.#report(`${expected} records are in the key index, ${this.#recordCount} could be read`);
  }

  /** What the shard's own files say of each section, of which one that is another shard's may say too much. */
  async #checkCounts(): Promise<void> {
    for (const { end, witness } of await sectionEnds(this.#deps.disk)) {
      const expected = end.keyBytes / recordSize(archiveKeySize);
      const found = this.#counts.get(end.section) ?? 0;
      if (found >= expected) continue;
      this.#report(`${sectionFiles(end.section).keys}: ${found} records read, ${expected} expected (${witness})`);
    }
  }

  #checkRecord({ key, value, position, cursor, next }: StoredRecord<Envelope>): void {
    const where = placeOf(position, cursor);
    this.#recordCount++;
    this.#payloadBytes += value.payload.length;
    this.#counts.set(position.section, (this.#counts.get(position.section) ?? 0) + 1);
    if (!archiveKey(value.key).equals(key))
      this.#report(`${where}: the key in its value is not the key that it is filed under`);
    if (next === undefined) return;
    const isBefore =
      next.section < position.section || (next.section === position.section && next.position < position.position);
    if (!isBefore)
      this.#report(`${where}: its chain goes on to ${next.section}/${next.position}, which is not before it`);
  }

  /** Each record is the newest of its key, or one of the older versions on the key's chain. */
  async #checkReachable(
    freezer: Freezer<Envelope> | undefined,
    batch: readonly StoredRecord<Envelope>[],
  ): Promise<void> {
    if (freezer === undefined || batch.length === 0) return;
    const newest = await freezer.lookupMany(batch.map(({ key }) => ({ key })));
    for (const [index, record] of batch.entries()) {
      const lookup = newest[index];
      if (lookup?.kind === 'found' && isSame(lookup.cursor, record.cursor)) continue;
      const problem = await reachProblem(freezer, record);
      if (problem === undefined) continue;
      this.#report(`${placeOf(record.position, record.cursor)}: ${problem}`);
    }
  }

  #report(problem: string): void {
    this.#problemCount++;
    if (this.#problems.length < problemsMax) this.#problems.push(problem);
  }
}

async function reachProblem(freezer: Freezer<Envelope>, record: StoredRecord<Envelope>): Promise<string | undefined> {
  try {
    for await (const { cursor } of freezer.versions(record.key)) if (isSame(cursor, record.cursor)) return undefined;
    return `it is not found from its key through ${tableFile}`;
  } catch (error) {
    return `it cannot be reached from its key: ${messageOf(error)}`;
  }
}

function placeOf({ section, position }: RecordPosition, { offset }: Cursor): string {
  const { keys, values } = sectionFiles(section);
  return `${keys} record ${position}, ${values} at ${offset + headerSize}`;
}

function noShard(volume: VolumeState): ShardError {
  return new ShardError('checkpoint-missing', `there is no shard in the directory (${volume.kind})`);
}

function shardOf(store: Store): NonNullable<VerifyReport['shard']> {
  const { instance, checkpoint } = store.saved;
  return { instance, epoch: checkpoint.epoch, tableSize: checkpoint.tableSize };
}

function isSame(left: Cursor, right: Cursor): boolean {
  return left.section === right.section && left.offset === right.offset && left.size === right.size;
}
