/**
 * One file of the engine past its header. Offsets here are logical: 0 is the first byte behind the header.
 *
 * A file is created in this order: directory, its entry, the file's entry, header, fsync. A crash on the way leaves a
 * file that is shorter than a header or has a torn one; `createBlob` makes such a file anew, and nothing else ever
 * takes it for a good one (H17).
 */
import type { Disk, DiskFile, DiskRead, DiskWrite } from '../disk/disk.ts';
import { BlobError, corruption } from './blob-error.ts';
import { encodeHeader, headerSize, validateHeader } from './header.ts';

export class Blob {
  readonly #file: DiskFile;
  #size: number;
  #running = 0;
  #closed = false;
  #idle: (() => void) | undefined;

  constructor(file: DiskFile, size: number) {
    this.#file = file;
    this.#size = size;
  }

  get path(): string {
    return this.#file.path;
  }

  /** Content bytes, header not counted. */
  get size(): number {
    return this.#size;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    this.#within(offset, into.length);
    await this.#tracked(() => this.#file.read(offset + headerSize, into));
  }

  /** Fills so many bytes of `into` from `at` on, at once; false where `read` has to be asked. */
  readNow(offset: number, into: Buffer, at: number, size: number): boolean {
    return !this.#closed && offset + size <= this.#size && this.#file.readNow(offset + headerSize, into, at, size);
  }

  async readMany(reads: readonly DiskRead[]): Promise<void> {
    const moved = reads.map((read) => {
      this.#within(read.offset, read.into.length);
      return { offset: read.offset + headerSize, into: read.into };
    });
    await this.#tracked(() => this.#file.readMany(moved));
  }

  async writeMany(writes: readonly DiskWrite[]): Promise<void> {
    const moved = writes.map((write) => ({ offset: write.offset + headerSize, bytes: write.bytes }));
    await this.#tracked(() => this.#file.writeMany(moved));
    for (const write of writes) this.#size = Math.max(this.#size, write.offset + write.bytes.length);
  }

  async truncate(size: number): Promise<void> {
    await this.#tracked(() => this.#file.truncate(size + headerSize));
    this.#size = size;
  }

  /** Makes content and size durable. A failure is final: the owner is poisoned. */
  sync(): Promise<void> {
    return this.#tracked(() => this.#file.sync());
  }

  /** Gives the handle back when what is under way has ended; anything asked for later is the error `closed`. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#running > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    await this.#file.close();
  }

  async #tracked(work: () => Promise<void>): Promise<void> {
    if (this.#closed) throw new BlobError('closed', `${this.path} is closed`, { details: { file: this.path } });
    this.#running++;
    try {
      await work();
    } finally {
      this.#running--;
      if (this.#running === 0) this.#idle?.();
    }
  }

  #within(offset: number, size: number): void {
    if (offset + size <= this.#size) return;
    throw corruption('file too short', {
      file: this.path,
      offset: offset + headerSize,
      expected: `${size} bytes`,
      found: `${Math.max(0, this.#size - offset)} bytes`,
    });
  }
}

/** Opens a file that must be there and complete to its header. */
export async function openBlob(disk: Disk, path: string): Promise<Blob> {
  const file = await disk.open(path, { create: false });
  try {
    const size = await file.size();
    if (size < headerSize) {
      throw corruption('file too short', {
        file: path,
        offset: 0,
        expected: `a header of ${headerSize} bytes`,
        found: `${size} bytes`,
      });
    }
    const header = Buffer.alloc(headerSize);
    await file.read(0, header);
    validateHeader(header, path);
    return new Blob(file, size - headerSize);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Makes an empty file, over the remains of an interrupted creation if there are any, durable with its entries. */
export async function createBlob(disk: Disk, partition: string, name: string): Promise<Blob> {
  await disk.makeDirectory(partition);
  const file = await disk.open(`${partition}/${name}`, { create: true });
  try {
    await disk.syncDirectory('');
    await disk.syncDirectory(partition);
    await file.truncate(0);
    await file.write(0, encodeHeader());
    await file.sync();
    return new Blob(file, 0);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Whether the file is what an interrupted creation leaves: less than a header, or a torn one and nothing behind it. */
export async function isUnfinishedBlob(disk: Disk, path: string): Promise<boolean> {
  const found = await disk.stat(path);
  if (found === undefined || found.kind !== 'file' || found.size > headerSize) return false;
  return reading(disk, path, async (file) => {
    const bytes = Buffer.alloc(found.size);
    await file.read(0, bytes);
    return found.size < headerSize || (isTornHeader(bytes) && !bytes.equals(encodeHeader()));
  });
}

const stepBytes = 1 << 20;

/** Whether the file holds nothing: a header, whole or torn, and only zeros behind it. */
export function isBlankBlob(disk: Disk, path: string): Promise<boolean> {
  return reading(disk, path, async (file) => {
    const size = await file.size();
    for (let offset = 0; offset < size; offset += stepBytes) {
      const bytes = Buffer.allocUnsafe(Math.min(stepBytes, size - offset));
      await file.read(offset, bytes);
      const headerPart = offset === 0 ? bytes.subarray(0, headerSize) : Buffer.alloc(0);
      if (!isTornHeader(headerPart) || bytes.subarray(headerPart.length).some((byte) => byte !== 0)) return false;
    }
    return true;
  });
}

/** Each byte is the header's, or never reached the disk. */
function isTornHeader(bytes: Buffer): boolean {
  const header = encodeHeader();
  return bytes.every((byte, index) => byte === 0 || byte === header[index]);
}

async function reading<T>(disk: Disk, path: string, work: (file: DiskFile) => Promise<T>): Promise<T> {
  const file = await disk.open(path, { create: false });
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}
