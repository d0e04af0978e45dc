import fs from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AssertionFailure, assert, present } from '../base/assert.ts';
import { codeOf } from '../base/errors.ts';
import { yieldToLoop } from '../base/yield.ts';
import type { Disk, DiskFile, DiskRead, DiskStat, DiskWrite } from './disk.ts';
import { DiskError, type DiskOperation, diskErrorFrom, shortRead } from './disk-error.ts';
import { WarmReads, warmReadSizeMax } from './warm-reads.ts';

const opened = promisify(fs.open);
const stated = promisify(fs.stat);
const statedOpen = promisify(fs.fstat);
const listed = promisify(fs.readdir);
const directoryMade = promisify(fs.mkdir);
const unlinked = promisify(fs.unlink);
const directoryRemoved = promisify(fs.rmdir);
const renamed = promisify(fs.rename);
const truncated = promisify(fs.ftruncate);
const synced = promisify(fs.fsync);
const dataSynced = promisify(fs.fdatasync);
const closed = promisify(fs.close);

/** Reads or writes of one list that are in flight together. The pool behind `fs` has four threads by default. */
const listParallelismMax = 64;

/** Reads of one list that are made at once between two turns of the event loop. */
const readsPerTurn = 128;

/**
 * The real disk, below one root directory, through callback calls of `node:fs` on plain descriptors: a promise-based
 * file handle costs four times as much a read. Only small reads that the page cache most likely has are made in the
 * caller's thread: see `warm-reads.ts`.
 */
export class NodeDisk implements Disk {
  readonly root: string;
  readonly #warmReads: WarmReads;

  constructor(root: string, warmReads = new WarmReads()) {
    this.root = root;
    this.#warmReads = warmReads;
  }

  async open(path: string, options: { readonly create: boolean }): Promise<DiskFile> {
    const flags = options.create ? fs.constants.O_RDWR | fs.constants.O_CREAT : fs.constants.O_RDWR;
    return guarded({ operation: 'open', path }, async () => {
      const descriptor = await opened(this.#locate(path), flags, 0o640);
      return new NodeDiskFile(path, descriptor, this.#warmReads);
    });
  }

  async stat(path: string): Promise<DiskStat | undefined> {
    const found = await unlessMissing({ operation: 'stat', path }, () => stated(this.#locate(path)));
    if (found === undefined) return undefined;
    return { kind: found.isFile() ? 'file' : found.isDirectory() ? 'directory' : 'other', size: found.size };
  }

  list(path: string): Promise<readonly string[] | undefined> {
    return unlessMissing({ operation: 'list', path }, () => listed(this.#locate(path)));
  }

  async makeDirectory(path: string): Promise<void> {
    await guarded({ operation: 'make directory', path }, async () => {
      const place = this.#locate(path);
      try {
        await directoryMade(place, { recursive: path === '', mode: 0o750 });
      } catch (error) {
        if (codeOf(error) !== 'EEXIST' || !(await stated(place)).isDirectory()) throw error;
      }
    });
  }

  async syncDirectory(path: string): Promise<void> {
    await guarded({ operation: 'sync directory', path }, async () => {
      const descriptor = await opened(this.#locate(path), fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
      try {
        await synced(descriptor);
      } finally {
        await closed(descriptor);
      }
    });
  }

  async remove(path: string): Promise<void> {
    await guarded({ operation: 'remove', path }, () => unlinked(this.#locate(path)));
  }

  async removeDirectory(path: string): Promise<void> {
    await guarded({ operation: 'remove directory', path }, () => directoryRemoved(this.#locate(path)));
  }

  async rename(from: string, to: string): Promise<void> {
    await guarded({ operation: 'rename', path: from }, () => renamed(this.#locate(from), this.#locate(to)));
  }

  /** Where a path lies. No path leads out of the root: callers check names that come from outside before. */
  #locate(path: string): string {
    const inside = path === '' || !path.split('/').some((part) => part === '' || part === '.' || part === '..');
    assert(inside && !path.includes('\0'), `${JSON.stringify(path)} is no path below the root of a disk`);
    return join(this.root, path);
  }
}

/**
 * One descriptor. It counts what is under way on it: a descriptor that is closed too early, or used afterwards, may
 * by then belong to another file, and a write to it would go there.
 */
class NodeDiskFile implements DiskFile {
  readonly path: string;
  readonly #descriptor: number;
  readonly #warmReads: WarmReads;
  #underWay = 0;
  #closed = false;

  constructor(path: string, descriptor: number, warmReads: WarmReads) {
    this.path = path;
    this.#descriptor = descriptor;
    this.#warmReads = warmReads;
  }

  async size(): Promise<number> {
    const found = await this.#call({ operation: 'stat', path: this.path }, () => statedOpen(this.#descriptor));
    return found.size;
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    return this.readMany([{ offset, into }]);
  }

  readNow(offset: number, into: Buffer, at: number, size: number): boolean {
    assertRange(offset, size);
    this.#assertOpen();
    if (size > warmReadSizeMax || !this.#warmReads.isWarm) return false;
    return this.#warmReads.fill(this.#descriptor, offset, into, at, size);
  }

  readMany(reads: readonly DiskRead[]): Promise<void> {
    for (const read of reads) assertRange(read.offset, read.into.length);
    const areSmall = reads.every(({ into }) => into.length <= warmReadSizeMax);
    return this.#transfer((resolve, reject) => {
      if (areSmall) this.#fillSmall(reads).then(resolve, reject);
      else this.#fillAll(reads, resolve, reject);
    });
  }

  write(offset: number, bytes: Uint8Array): Promise<void> {
    assertRange(offset, bytes.length);
    return this.#transfer((resolve, reject) => this.#drain(offset, bytes, 0, resolve, reject));
  }

  writeMany(writes: readonly DiskWrite[]): Promise<void> {
    for (const write of writes) assertRange(write.offset, write.bytes.length);
    return this.#transfer((resolve, reject) =>
      inParallel(
        writes,
        (write, done, failed) => this.#drain(write.offset, write.bytes, 0, done, failed),
        resolve,
        reject,
      ),
    );
  }

  truncate(size: number): Promise<void> {
    assertRange(0, size);
    return this.#call({ operation: 'truncate', path: this.path, size }, () => truncated(this.#descriptor, size));
  }

  sync(): Promise<void> {
    return this.#call({ operation: 'sync', path: this.path }, () => dataSynced(this.#descriptor));
  }

  async close(): Promise<void> {
    assert(!this.#closed, `${this.path} is closed twice`);
    assert(this.#underWay === 0, `${this.path} is closed while ${this.#underWay} operations on it are under way`);
    this.#closed = true;
    await guarded({ operation: 'close', path: this.path }, () => closed(this.#descriptor));
  }

  async #call<T>(where: DiskOperation, work: () => Promise<T>): Promise<T> {
    this.#begin();
    try {
      return await guarded(where, work);
    } finally {
      this.#underWay--;
    }
  }

  #transfer(start: (resolve: () => void, reject: (error: Error) => void) => void): Promise<void> {
    this.#begin();
    return new Promise((resolve, reject) => {
      start(
        () => {
          this.#underWay--;
          resolve();
        },
        (error) => {
          this.#underWay--;
          reject(error);
        },
      );
    });
  }

  #begin(): void {
    this.#assertOpen();
    this.#underWay++;
  }

  #assertOpen(): void {
    if (this.#closed) throw new AssertionFailure(`${this.path} is used after it was closed`);
  }

  /** At once while it is warm, step by step so that the event loop turns; what is left, side by side in the pool. */
  async #fillSmall(reads: readonly DiskRead[]): Promise<void> {
    let next = 0;
    for (let isFilled = true; isFilled && next < reads.length && this.#warmReads.isWarm; ) {
      await yieldToLoop();
      const stepEnd = Math.min(reads.length, next + readsPerTurn);
      while (isFilled && next < stepEnd && this.#warmReads.isWarm) {
        const { offset, into } = present(reads[next], 'a read');
        isFilled = this.#warmReads.fill(this.#descriptor, offset, into, 0, into.length);
        if (isFilled) next++;
      }
    }
    const rest = next === 0 ? reads : reads.slice(next);
    if (rest.length === 0) return;
    this.#warmReads.passed(rest.length);
    await new Promise<void>((resolve, reject) => this.#fillAll(rest, resolve, reject));
  }

  #fillAll(reads: readonly DiskRead[], resolve: () => void, reject: (error: Error) => void): void {
    inParallel(reads, ({ offset, into }, done, failed) => this.#fill(offset, into, 0, done, failed), resolve, reject);
  }

  #fill(offset: number, into: Uint8Array, done: number, resolve: () => void, reject: (error: Error) => void): void {
    fs.read(this.#descriptor, into, done, into.length - done, offset + done, (error, count) => {
      if (error !== null) {
        reject(diskErrorFrom(error, { operation: 'read', path: this.path, offset, size: into.length }));
      } else if (done + count === into.length) {
        resolve();
      } else if (count === 0) {
        reject(shortRead(this.path, offset, into.length, done));
      } else {
        this.#fill(offset, into, done + count, resolve, reject);
      }
    });
  }

  #drain(offset: number, bytes: Uint8Array, done: number, resolve: () => void, reject: (error: Error) => void): void {
    fs.write(this.#descriptor, bytes, done, bytes.length - done, offset + done, (error, count) => {
      if (error !== null) {
        reject(diskErrorFrom(error, { operation: 'write', path: this.path, offset, size: bytes.length }));
      } else if (done + count === bytes.length) {
        resolve();
      } else if (count === 0) {
        const stuck = new Error(`the disk takes no more than ${done} bytes`);
        reject(diskErrorFrom(stuck, { operation: 'write', path: this.path, offset, size: bytes.length }));
      } else {
        this.#drain(offset, bytes, done + count, resolve, reject);
      }
    });
  }
}

function assertRange(offset: number, size: number): void {
  if (Number.isSafeInteger(offset) && Number.isSafeInteger(offset + size) && offset >= 0 && size >= 0) return;
  throw new AssertionFailure(`${offset} and ${size} are no offset and size in a file`);
}

async function guarded<T>(where: DiskOperation, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof AssertionFailure ? error : diskErrorFrom(error, where);
  }
}

/** `undefined` when what the work asks for is not there. */
async function unlessMissing<T>(where: DiskOperation, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await guarded(where, work);
  } catch (error) {
    if (error instanceof DiskError && error.code === 'not-found') return undefined;
    throw error;
  }
}

/** Starts one operation an item, at most `listParallelismMax` of them unfinished; waits for all that were started. */
function inParallel<T>(
  items: readonly T[],
  start: (item: T, done: () => void, failed: (error: Error) => void) => void,
  resolve: () => void,
  reject: (error: Error) => void,
): void {
  let next = 0;
  let running = 0;
  let failure: Error | undefined;
  const done = (): void => {
    running--;
    pump();
  };
  const failed = (error: Error): void => {
    failure ??= error;
    done();
  };
  const pump = (): void => {
    while (failure === undefined && next < items.length && running < listParallelismMax) {
      running++;
      start(items[next++] as T, done, failed);
    }
    if (running > 0) return;
    if (failure === undefined) resolve();
    else reject(failure);
  };
  pump();
}
