/** What an import does next: a record to put, or something that is none. */
export type ImportItem = ImportRecord | ImportProblem;

/** A record whose value is read only when its turn comes. */
export interface ImportRecord {
  readonly kind: 'record';
  /** For people: the path, or the line. */
  readonly where: string;
  readonly key: string;
  /** Bytes of the value, as far as they are known before it is read. */
  readonly size: number;
  /** Whether it is one of several parts of a file. */
  readonly part: boolean;
  load(): Promise<Uint8Array>;
}

/** `failed`: a record that cannot be read. `skipped`: not a record at all (a symbolic link, a socket). */
export interface ImportProblem {
  readonly kind: 'failed' | 'skipped';
  readonly where: string;
  readonly reason: string;
}
