import { type ArchiveName, parseArchiveName } from '../../src/protocol/names.ts';
import { encodePutJob, type PutWire } from '../../src/protocol/put-job.ts';
import { Workload } from '../workload.ts';

export const archive: ArchiveName = parseArchiveName('bench');
export const shard = 0;

/** The records of one load: position n has the key `order/n` and a random value. */
export class BenchRecords {
  readonly #workload: Workload;

  constructor(valueBytes: number, recordsPerJob: number) {
    this.#workload = new Workload({
      recordCount: Number.MAX_SAFE_INTEGER,
      keyBytes: 0,
      valueBytes,
      batchCount: recordsPerJob,
    });
  }

  keyOf(position: number): string {
    return `order/${position}`;
  }

  valueOf(position: number): Buffer {
    return this.#workload.record(position).value;
  }

  /** The put job that holds the next records after those of the jobs before it. */
  job(index: number): PutWire {
    const { batchCount } = this.#workload.size;
    const records = this.#workload.batch(index).map(({ value }, at) => ({
      key: this.keyOf(index * batchCount + at),
      value: value.toString('base64'),
    }));
    return encodePutJob({ records });
  }
}
