import type { BenchRecord, Found } from '../contender/contender.ts';

/** What can be opened: it makes a store once, and opens copies of it. */
export interface Subject {
  /** Begins an empty store; a section is left when its values have `sectionBytes`. */
  create(directory: string, sectionBytes: number): Promise<StoreInMaking>;
  /** Opens what a closed or killed process left, so that it could be written to and read from. */
  open(directory: string, sectionBytes: number): Promise<Opened>;
}

export interface StoreInMaking {
  /** All are durable on return. */
  put(batch: readonly BenchRecord[]): Promise<void>;
  close(): Promise<void>;
}

export interface Opened {
  readonly facts: Readonly<Record<string, number>>;
  get(key: Buffer): Promise<Found>;
  close(): Promise<void>;
}
