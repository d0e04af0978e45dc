import { assert } from '../../src/base/assert.ts';
import type { DiskFile, DiskRead, DiskWrite } from '../../src/disk/disk.ts';
import { shortRead } from '../../src/disk/disk-error.ts';
import { type EffectFault, failAs, failWhenFaulty, type Gate, type Issued } from './gate.ts';
import type { SimulatedFile } from './simulated-file.ts';

/**
 * An open file. What a program may never do with one is an assertion: use it closed, close it twice or while
 * something is under way on it, write overlapping ranges side by side, change bytes that are being written.
 */
export class SimulatedHandle implements DiskFile {
  readonly path: string;
  readonly #file: SimulatedFile;
  readonly #gate: Gate;
  readonly #whenClosed: (handle: SimulatedHandle) => void;
  #closed = false;
  #underWay = 0;

  constructor(path: string, file: SimulatedFile, gate: Gate, whenClosed: (handle: SimulatedHandle) => void) {
    this.path = path;
    this.#file = file;
    this.#gate = gate;
    this.#whenClosed = whenClosed;
  }

  size(): Promise<number> {
    return this.#run({ kind: 'size', path: this.path }, (fault) => {
      failWhenFaulty(fault, { operation: 'stat', path: this.path });
      return this.#file.size;
    });
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    assertRange(offset, into.length);
    return this.#run({ kind: 'read', path: this.path, offset, size: into.length }, (fault) =>
      this.#fill(offset, into, fault),
    );
  }

  readNow(offset: number, into: Buffer, at: number, size: number): boolean {
    assertRange(offset, size);
    assert(!this.#closed, `read of ${this.path} after its handle was closed`);
    return this.#gate.runNow(
      { kind: 'read', path: this.path, offset, size },
      () => this.#file.read(offset, into.subarray(at, at + size)) === size,
    );
  }

  async readMany(reads: readonly DiskRead[]): Promise<void> {
    await allEnded(reads.map((read) => this.read(read.offset, read.into)));
  }

  write(offset: number, bytes: Uint8Array): Promise<void> {
    assertRange(offset, bytes.length);
    const kept = Buffer.from(bytes);
    const stopWriting = this.#file.startWriting(offset, offset + bytes.length);
    return this.#run({ kind: 'write', path: this.path, offset, size: bytes.length }, (fault) => {
      assert(kept.equals(bytes), `${this.path}: bytes changed while they were being written at ${offset}`);
      this.#store(offset, kept, fault);
    }).finally(stopWriting);
  }

  async writeMany(writes: readonly DiskWrite[]): Promise<void> {
    assertDisjoint(this.path, writes);
    await allEnded(writes.map((write) => this.write(write.offset, write.bytes)));
  }

  truncate(size: number): Promise<void> {
    assertRange(0, size);
    return this.#run({ kind: 'truncate', path: this.path, size }, (fault) => {
      failWhenFaulty(fault, { operation: 'truncate', path: this.path, size });
      this.#file.truncate(size);
    });
  }

  sync(): Promise<void> {
    const covered = this.#file.lastNumber;
    return this.#run({ kind: 'sync', path: this.path }, (fault) => {
      if (fault === undefined) this.#file.sync(covered);
      else this.#file.abandon(covered);
      failWhenFaulty(fault, { operation: 'sync', path: this.path });
    });
  }

  async close(): Promise<void> {
    assert(!this.#closed, `${this.path} is closed twice`);
    assert(this.#underWay === 0, `${this.path} is closed while operations on it are under way`);
    this.#closed = true;
    this.#whenClosed(this);
    await this.#gate.run({ kind: 'close', path: this.path }, (fault) =>
      failWhenFaulty(fault, { operation: 'close', path: this.path }),
    );
  }

  async #run<T>(issued: Issued, effect: (fault: EffectFault) => T): Promise<T> {
    assert(!this.#closed, `${issued.kind} of ${this.path} after its handle was closed`);
    this.#underWay++;
    try {
      return await this.#gate.run(issued, effect);
    } finally {
      this.#underWay--;
    }
  }

  #fill(offset: number, into: Uint8Array, fault: EffectFault): void {
    failWhenFaulty(fault, { operation: 'read', path: this.path, offset, size: into.length });
    if (fault === 'short-read') throw shortRead(this.path, offset, into.length, Math.floor(into.length / 2));
    const from = shifted(offset, fault);
    const found = this.#file.read(from, into);
    if (found < into.length) throw shortRead(this.path, offset, into.length, found);
  }

  #store(offset: number, bytes: Buffer, fault: EffectFault): void {
    const where = { operation: 'write', path: this.path, offset, size: bytes.length };
    failWhenFaulty(fault, where);
    if (fault === 'short-write') {
      this.#file.write(offset, bytes.subarray(0, Math.floor(bytes.length / 2)));
      failAs('EIO', 'the simulated disk failed in the middle of a write', where);
    }
    this.#file.write(shifted(offset, fault), bytes);
  }
}

function assertRange(offset: number, size: number): void {
  assert(
    Number.isSafeInteger(offset) && offset >= 0 && Number.isSafeInteger(offset + size) && size >= 0,
    `${offset} + ${size} is no range of a file`,
  );
}

function assertDisjoint(path: string, writes: readonly DiskWrite[]): void {
  const ordered = [...writes].sort((one, other) => one.offset - other.offset);
  ordered.forEach((write, index) => {
    const next = ordered[index + 1];
    assert(
      next === undefined || write.offset + write.bytes.length <= next.offset,
      `${path}: writes of one list overlap at ${write.offset}`,
    );
  });
}

/** Waits for all of them, then fails as the first that failed did. */
async function allEnded(operations: readonly Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(operations)) {
    if (outcome.status === 'rejected') throw outcome.reason;
  }
}

function shifted(offset: number, fault: EffectFault): number {
  return typeof fault === 'object' ? Math.max(0, offset + fault.misdirectedBy) : offset;
}
