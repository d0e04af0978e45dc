/** A record of the workload. */
export interface BenchRecord {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** A store that is measured: it owns an empty directory. */
export interface Contender {
  /** Stores the records; all of them are durable when it returns. */
  putDurably(batch: readonly BenchRecord[]): Promise<void>;
  /** Ends what runs in the background and gives everything back, as at a clean stop. */
  close(): Promise<void>;
  /** What is worth knowing beside the times: counts by name. */
  facts(): Readonly<Record<string, number>>;
  /** The store opened again for reading, after `close`; undefined when it has no lookup. */
  reopen(): Promise<ContenderReader | undefined>;
}

export type Found = Uint8Array | undefined;

export interface ContenderReader {
  /** A store that reads in the caller's thread gives the value itself, and holds up the event loop while it reads. */
  get(key: Buffer): Found | Promise<Found>;
  getMany(keys: readonly Buffer[]): Promise<readonly Found[]>;
  close(): Promise<void>;
}
