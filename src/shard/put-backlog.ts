import type { JournalEnd } from '../journal/journal-end.ts';
import type { PendingPut } from './pending-put.ts';
import { ShardError } from './shard-error.ts';

export interface BacklogLimits {
  readonly waitingBytesMax: number;
  readonly waitingRecordsMax: number;
}

/** What a number of puts comes to. */
export interface Load {
  readonly puts: number;
  readonly records: number;
  readonly bytes: number;
}

/**
 * The puts that are not settled, in the order of their arrival: first those that were appended, then the batch that is
 * being appended, then those that wait.
 */
export class PutBacklog {
  #waiting: PendingPut[] = [];
  #batch: PendingPut[] = [];
  #appended: PendingPut[] = [];
  #all: Load = nothing;
  #ready: Load = nothing;

  /** Of all puts. */
  get load(): Load {
    return this.#all;
  }

  /** Of the puts that were appended. */
  get appended(): Load {
    return this.#ready;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  get oldest(): PendingPut | undefined {
    return this.#appended[0] ?? this.#batch[0] ?? this.#waiting[0];
  }

  /** Takes a put; `overloaded` when too much waits. A put that finds nothing before it is always taken. */
  add(put: PendingPut, limits: BacklogLimits): void {
    const load = plus(this.#all, put, 1);
    if (load.puts > 1) {
      requireRoom('waitingBytesMax', load.bytes, limits.waitingBytesMax);
      requireRoom('waitingRecordsMax', load.records, limits.waitingRecordsMax);
    }
    this.#all = load;
    this.#waiting.push(put);
  }

  /** Takes the next puts off the queue, at least one, as a batch that stays here until `batchAppended`. */
  takeBatch(bytesMax: number, recordsMax: number): readonly PendingPut[] {
    let load = nothing;
    const count = this.#waiting.findIndex((put) => {
      load = plus(load, put, 1);
      return load.puts > 1 && (load.bytes > bytesMax || load.records > recordsMax);
    });
    this.#batch = this.#waiting.splice(0, count === -1 ? this.#waiting.length : count);
    return this.#batch;
  }

  /** The batch is over: these of its puts were appended, the others refused. */
  batchAppended(
    appended: readonly PendingPut[],
    refused: readonly { readonly put: PendingPut; readonly error: Error }[],
  ): void {
    this.#batch = [];
    for (const put of appended) {
      this.#appended.push(put);
      this.#ready = plus(this.#ready, put, 1);
    }
    for (const { put, error } of refused) {
      this.#all = plus(this.#all, put, -1);
      put.refuse(error);
    }
  }

  /** Settles the appended puts that are durable, in their order; gives their number. */
  settle(committed: JournalEnd, commit: number): number {
    const before = this.#appended.length;
    this.#appended = this.#appended.filter((put) => {
      if (!put.isCovered(committed)) return true;
      this.#ready = plus(this.#ready, put, -1);
      this.#all = plus(this.#all, put, -1);
      put.settle(commit);
      return false;
    });
    return before - this.#appended.length;
  }

  /** Nothing is known any more about what was appended: it waits again, before the others. */
  repeat(): void {
    const repeated = [...this.#appended, ...this.#batch];
    for (const put of repeated) put.repeat();
    this.#waiting = [...repeated, ...this.#waiting];
    this.#appended = [];
    this.#batch = [];
    this.#ready = nothing;
  }

  /** Refuses all puts; none is being appended. */
  refuseAll(error: Error): void {
    for (const put of this.#waiting) put.refuse(error);
    this.#waiting = [];
    this.#all = nothing;
  }
}

const nothing: Load = { puts: 0, records: 0, bytes: 0 };

function plus(load: Load, put: PendingPut, times: 1 | -1): Load {
  return {
    puts: load.puts + times,
    records: load.records + times * put.recordCount,
    bytes: load.bytes + times * put.bytes,
  };
}

function requireRoom(limit: string, wanted: number, max: number): void {
  if (wanted <= max) return;
  throw new ShardError('overloaded', `${wanted} would wait, at most ${max} may (${limit})`, {
    retriable: true,
    details: { limit, wanted, max },
  });
}
