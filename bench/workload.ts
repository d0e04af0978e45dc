import { createCipheriv, createHash } from 'node:crypto';
import type { BenchRecord } from './contender/contender.ts';

export interface WorkloadSize {
  readonly recordCount: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  /** Records that become durable together. */
  readonly batchCount: number;
}

const cipherKey = createHash('sha256').update('permafrost bench').digest();
const cipherBlockSize = 16;
/** Streams from here on draw positions; those before are of batches. */
const drawingStreams = 0x8000_0000;

/** Random records, the same in every process: each batch is one piece of a cipher's key stream. */
export class Workload {
  readonly size: WorkloadSize;

  constructor(size: WorkloadSize) {
    this.size = size;
  }

  get batches(): number {
    return Math.ceil(this.size.recordCount / this.size.batchCount);
  }

  get recordBytes(): number {
    return this.size.keyBytes + this.size.valueBytes;
  }

  get payloadBytes(): number {
    return this.size.recordCount * this.recordBytes;
  }

  batch(index: number): BenchRecord[] {
    const { recordCount, batchCount } = this.size;
    const count = Math.min(batchCount, recordCount - index * batchCount);
    const stream = keyStream(index, 0, count * this.recordBytes);
    return Array.from({ length: count }, (_, at) => this.#recordAt(stream, at * this.recordBytes));
  }

  /** The record at this place in the order of the puts, made without its neighbours. */
  record(position: number): BenchRecord {
    const { batchCount } = this.size;
    const offset = (position % batchCount) * this.recordBytes;
    return this.#recordAt(keyStream(Math.floor(position / batchCount), offset, this.recordBytes), 0);
  }

  /** Positions drawn evenly from all records, the same for the same series; one may come twice. */
  positions(series: number, count: number): number[] {
    const numbers = keyStream(drawingStreams + series, 0, 4 * count);
    return Array.from({ length: count }, (_, at) =>
      Math.floor((numbers.readUInt32LE(4 * at) / 2 ** 32) * this.size.recordCount),
    );
  }

  #recordAt(bytes: Buffer, start: number): BenchRecord {
    const middle = start + this.size.keyBytes;
    return { key: bytes.subarray(start, middle), value: bytes.subarray(middle, start + this.recordBytes) };
  }
}

/** SHA-256 over values in their order; equal hashes mean that the same bytes were read back. */
export class ValuesHash {
  readonly #hash = createHash('sha256');

  add(values: Iterable<Uint8Array | undefined>): void {
    for (const value of values) this.#hash.update(value ?? 'missing');
  }

  digest(): string {
    return this.#hash.digest('hex');
  }
}

/** Bytes of a stream of its own, from an offset on. */
function keyStream(stream: number, offset: number, size: number): Buffer {
  const block = Math.floor(offset / cipherBlockSize);
  const skipped = offset - block * cipherBlockSize;
  const counter = Buffer.alloc(cipherBlockSize);
  counter.writeUInt32BE(stream, 0);
  counter.writeUIntBE(block, cipherBlockSize - 6, 6);
  const bytes = createCipheriv('aes-256-ctr', cipherKey, counter).update(Buffer.alloc(skipped + size));
  return bytes.subarray(skipped);
}
