import { createCipheriv, createHash } from 'node:crypto';
import { present } from '../src/base/assert.ts';
import type { BenchRecord } from './contender.ts';

export interface WorkloadSize {
  readonly recordCount: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  /** Records that become durable together. */
  readonly batchCount: number;
}

const cipherKey = createHash('sha256').update('permafrost bench').digest();
const sampledBatchesMax = 10;

/** Random records, the same in every process: each batch is one piece of a cipher's key stream. */
export class Workload {
  readonly size: WorkloadSize;

  constructor(size: WorkloadSize) {
    this.size = size;
  }

  get batches(): number {
    return Math.ceil(this.size.recordCount / this.size.batchCount);
  }

  get payloadBytes(): number {
    return this.size.recordCount * (this.size.keyBytes + this.size.valueBytes);
  }

  batch(index: number): BenchRecord[] {
    const { recordCount, keyBytes, valueBytes, batchCount } = this.size;
    const count = Math.min(batchCount, recordCount - index * batchCount);
    const recordBytes = keyBytes + valueBytes;
    const stream = randomBytes(index, count * recordBytes);
    return Array.from({ length: count }, (_, at) => {
      const record = stream.subarray(at * recordBytes, (at + 1) * recordBytes);
      return { key: record.subarray(0, keyBytes), value: record.subarray(keyBytes) };
    });
  }

  /** Records of evenly spread batches, the first and the last among them, in an order unlike that of the puts. */
  sample(): BenchRecord[] {
    const count = Math.min(sampledBatchesMax, this.batches);
    const chosen = Array.from({ length: count }, (_, at) =>
      count === 1 ? 0 : Math.round((at * (this.batches - 1)) / (count - 1)),
    );
    return shuffled(chosen.flatMap((index) => this.batch(index)));
  }
}

/** SHA-256 over the values in their order; equal hashes mean that the same bytes were read back. */
export function hashOfValues(values: Iterable<Uint8Array>): string {
  const hash = createHash('sha256');
  for (const value of values) hash.update(value);
  return hash.digest('hex');
}

function randomBytes(stream: number, size: number): Buffer {
  const nonce = Buffer.alloc(16);
  nonce.writeUInt32BE(stream, 0);
  return createCipheriv('aes-256-ctr', cipherKey, nonce).update(Buffer.alloc(size));
}

/** Fisher and Yates' shuffle with a fixed source of numbers. */
function shuffled<T>(items: readonly T[]): T[] {
  const result = [...items];
  const numbers = randomBytes(0xffff_ffff, 4 * result.length);
  for (let last = result.length - 1; last > 0; last--) {
    const other = numbers.readUInt32BE(4 * last) % (last + 1);
    const moved = present(result[last], 'item');
    result[last] = present(result[other], 'item');
    result[other] = moved;
  }
  return result;
}
