import type { RecordWire } from '../protocol/put-job.ts';
import type { EncodedRecord } from './record.ts';

export interface ChunkLimits {
  /** A chunk with this many bytes of JSON takes no more records; one large record may make it larger. */
  readonly jobBytes: number;
  readonly recordCountMax: number;
}

/** Records of one shard that travel in one job. */
export interface Chunk {
  readonly shard: number;
  readonly records: readonly RecordWire[];
  /** Where each record stood in the source, from 0. */
  readonly positions: readonly number[];
}

interface OpenChunk {
  readonly records: RecordWire[];
  readonly positions: number[];
  jsonBytes: number;
}

/** Gathers records into chunks, one open chunk a shard. */
export class Chunker {
  readonly #limits: ChunkLimits;
  readonly #open = new Map<number, OpenChunk>();

  constructor(limits: ChunkLimits) {
    this.#limits = limits;
  }

  get empty(): boolean {
    return this.#open.size === 0;
  }

  /** Takes the record, and gives the chunk that is full now: with the record in it, or without if it did not fit. */
  add(record: EncodedRecord, position: number): Chunk | undefined {
    const open = this.#open.get(record.shard);
    const full = open !== undefined && open.jsonBytes + record.jsonBytes > this.#limits.jobBytes;
    const closed = full ? this.#take(record.shard) : undefined;
    const chunk = this.#openChunk(record.shard);
    chunk.records.push(record.wire);
    chunk.positions.push(position);
    chunk.jsonBytes += record.jsonBytes;
    if (closed !== undefined) return closed;
    const complete = chunk.records.length >= this.#limits.recordCountMax || chunk.jsonBytes >= this.#limits.jobBytes;
    return complete ? this.#take(record.shard) : undefined;
  }

  /** Gives what is open, in no matter what size. */
  takeAll(): readonly Chunk[] {
    return [...this.#open.keys()].flatMap((shard) => this.#take(shard) ?? []);
  }

  #openChunk(shard: number): OpenChunk {
    const known = this.#open.get(shard);
    if (known !== undefined) return known;
    const made: OpenChunk = { records: [], positions: [], jsonBytes: 0 };
    this.#open.set(shard, made);
    return made;
  }

  #take(shard: number): Chunk | undefined {
    const open = this.#open.get(shard);
    this.#open.delete(shard);
    return open === undefined ? undefined : { shard, records: open.records, positions: open.positions };
  }
}
