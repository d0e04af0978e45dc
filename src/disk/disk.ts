/**
 * The disk port: the only way in which Permafrost touches files, and the seam that crash tests replace.
 *
 * Paths are relative to the root that the implementation was made with, parts separated by `/`; `''` is the root
 * itself. Offsets and sizes are bytes. What a caller may rely on after a crash is only this:
 *
 * - bytes and size of a file are durable once `sync` returned after the write or truncate returned;
 * - the entry of a file or directory (its existence or its absence) is durable once `syncDirectory` of the
 *   directory that holds it returned;
 * - everything else may be there, not be there, or be there in part, in any order.
 *
 * After a failed `sync` nothing is known about the writes before it, and a further `sync` proves nothing.
 * Writes to disjoint ranges of one file may run side by side.
 */
export interface Disk {
  /**
   * Opens a regular file for reading and writing. With `create` the file is made when it is missing (an empty
   * one, its entry not yet durable); without, a missing file is the error `not-found`.
   */
  open(path: string, options: { readonly create: boolean }): Promise<DiskFile>;
  /** What is at the path, or `undefined` when nothing is. */
  stat(path: string): Promise<DiskStat | undefined>;
  /** Names in a directory, in no order; `undefined` when the directory is missing. */
  list(path: string): Promise<readonly string[] | undefined>;
  /** Makes one directory (its parent exists); does nothing when it is there. */
  makeDirectory(path: string): Promise<void>;
  /** Makes the entries of a directory durable. */
  syncDirectory(path: string): Promise<void>;
  /** Removes a file. An open file stays readable through its handles. */
  remove(path: string): Promise<void>;
  /** Removes an empty directory. */
  removeDirectory(path: string): Promise<void>;
  /** Moves a file, replacing what is at the target. Durable once both directories are synced. */
  rename(from: string, to: string): Promise<void>;
}

export interface DiskStat {
  readonly kind: 'file' | 'directory' | 'other';
  readonly size: number;
}

export interface DiskRead {
  readonly offset: number;
  /** Filled from the file; its length is the number of bytes to read. */
  readonly into: Uint8Array;
}

export interface DiskWrite {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export interface DiskFile {
  readonly path: string;
  size(): Promise<number>;
  /** Fills `into` from `offset` on; the end of the file before that is the error `short-read`. */
  read(offset: number, into: Uint8Array): Promise<void>;
  /**
   * Fills so many bytes of `into` from `at` on, at once, where the disk believes that nothing has to be waited for. False
   * everywhere else, where `read` says what is there or what is wrong.
   */
  readNow(offset: number, into: Buffer, at: number, size: number): boolean;
  /** All reads of a list, in any order; fails as `read` does when one fails. */
  readMany(reads: readonly DiskRead[]): Promise<void>;
  /** Writes all bytes at the offset, growing the file as needed; a gap reads as zeros. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** All writes of a list, in any order; their ranges are disjoint. */
  writeMany(writes: readonly DiskWrite[]): Promise<void>;
  /** Sets the size: cuts, or extends with zeros. */
  truncate(size: number): Promise<void>;
  /** Makes bytes and size durable. Never retried after a failure. */
  sync(): Promise<void>;
  /** Gives the handle back. Says nothing about durability. */
  close(): Promise<void>;
}
