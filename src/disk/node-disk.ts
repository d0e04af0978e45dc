import fs from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Disk, DiskFile, DiskRead, DiskStat, DiskWrite } from './disk.ts';
import { type DiskOperation, diskErrorFrom, shortRead } from './disk-error.ts';

const opened = promisify(fs.open);
const stated = promisify(fs.stat);

/** Reads or writes of one list that are in flight together. The pool behind `fs` has four threads by default. */
const listParallelismMax = 64;

/**
 * The real disk, below one root directory, through callback calls of `node:fs` on plain descriptors: a promise-based
 * file handle costs four times as much a read. Nothing here blocks the event loop.
 */
export class NodeDisk implements Disk {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  async open(path: string, options: { readonly create: boolean }): Promise<DiskFile> {
    const flags = options.create ? fs.constants.O_RDWR | fs.constants.O_CREAT : fs.constants.O_RDWR;
    return guarded({ operation: 'open', path }, async () => {
      const descriptor = await opened(join(this.root, path), flags, 0o640);
      return new NodeDiskFile(path, descriptor);
    });
  }

  async stat(path: string): Promise<DiskStat | undefined> {
    try {
      const found = await stated(join(this.root, path));
      return { kind: found.isFile() ? 'file' : found.isDirectory() ? 'directory' : 'other', size: found.size };
    } catch (error) {
      const failure = diskErrorFrom(error, { operation: 'stat', path });
      if (failure.code === 'not-found') return undefined;
      throw failure;
    }
  }

  async list(path: string): Promise<readonly string[] | undefined> {
    try {
      return await promisify(fs.readdir)(join(this.root, path));
    } catch (error) {
      const failure = diskErrorFrom(error, { operation: 'list', path });
      if (failure.code === 'not-found') return undefined;
      throw failure;
    }
  }

  async makeDirectory(path: string): Promise<void> {
    await guarded({ operation: 'make directory', path }, () =>
      promisify(fs.mkdir)(join(this.root, path), { recursive: path === '', mode: 0o750 }).catch(unlessThere),
    );
  }

  async syncDirectory(path: string): Promise<void> {
    await guarded({ operation: 'sync directory', path }, async () => {
      const descriptor = await opened(join(this.root, path), fs.constants.O_RDONLY);
      try {
        await promisify(fs.fsync)(descriptor);
      } finally {
        await promisify(fs.close)(descriptor);
      }
    });
  }

  async remove(path: string): Promise<void> {
    await guarded({ operation: 'remove', path }, () => promisify(fs.unlink)(join(this.root, path)));
  }

  async removeDirectory(path: string): Promise<void> {
    await guarded({ operation: 'remove directory', path }, () => promisify(fs.rmdir)(join(this.root, path)));
  }

  async rename(from: string, to: string): Promise<void> {
    await guarded({ operation: 'rename', path: from }, () =>
      promisify(fs.rename)(join(this.root, from), join(this.root, to)),
    );
  }
}

class NodeDiskFile implements DiskFile {
  readonly path: string;
  readonly #descriptor: number;

  constructor(path: string, descriptor: number) {
    this.path = path;
    this.#descriptor = descriptor;
  }

  size(): Promise<number> {
    return guarded({ operation: 'stat', path: this.path }, async () => {
      const found = await promisify(fs.fstat)(this.#descriptor);
      return found.size;
    });
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => this.#fill(offset, into, 0, resolve, reject));
  }

  readMany(reads: readonly DiskRead[]): Promise<void> {
    return inParallel(reads.length, (index, resolve, reject) => {
      const read = reads[index];
      if (read !== undefined) this.#fill(read.offset, read.into, 0, resolve, reject);
    });
  }

  write(offset: number, bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => this.#drain(offset, bytes, 0, resolve, reject));
  }

  writeMany(writes: readonly DiskWrite[]): Promise<void> {
    return inParallel(writes.length, (index, resolve, reject) => {
      const write = writes[index];
      if (write !== undefined) this.#drain(write.offset, write.bytes, 0, resolve, reject);
    });
  }

  truncate(size: number): Promise<void> {
    return guarded({ operation: 'truncate', path: this.path, size }, () =>
      promisify(fs.ftruncate)(this.#descriptor, size),
    );
  }

  sync(): Promise<void> {
    return guarded({ operation: 'sync', path: this.path }, () => promisify(fs.fdatasync)(this.#descriptor));
  }

  close(): Promise<void> {
    return guarded({ operation: 'close', path: this.path }, () => promisify(fs.close)(this.#descriptor));
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
      } else {
        this.#drain(offset, bytes, done + count, resolve, reject);
      }
    });
  }
}

async function guarded<T>(where: DiskOperation, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw diskErrorFrom(error, where);
  }
}

function unlessThere(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}

/** Starts `count` operations, at most `listParallelismMax` of them unfinished; waits for all that were started. */
function inParallel(
  count: number,
  start: (index: number, resolve: () => void, reject: (error: Error) => void) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let next = 0;
    let running = 0;
    let failure: Error | undefined;
    const ended = (): void => {
      running--;
      pump();
    };
    const failed = (error: Error): void => {
      failure ??= error;
      ended();
    };
    const pump = (): void => {
      while (failure === undefined && next < count && running < listParallelismMax) {
        running++;
        start(next++, ended, failed);
      }
      if (running > 0) return;
      if (failure === undefined) resolve();
      else reject(failure);
    };
    pump();
  });
}
