/**
 * The lock that makes a process the only owner of a shard directory.
 *
 * It is an exclusive transaction held open on an empty `node:sqlite` file. Nothing is ever written to it, so no crash
 * can damage it, and the kernel drops the lock when the process dies, however it dies. A file beside it names the
 * process that took the lock last; it is information for the second owner's error only and never decides anything.
 *
 * The lock is a POSIX record lock: it is lost when the *same process* closes any other descriptor of the file. So
 * nothing in Permafrost opens the file except through here.
 */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { messageOf } from '../base/errors.ts';
import { NodeDisk } from '../disk/node-disk.ts';
import { readWhole } from './replace-file.ts';
import { ShardError } from './shard-error.ts';

/** Takes the ownership of one shard directory. The crash tests replace it. */
export interface OwnerLock {
  /** The held lock, or the ShardError `owned`. */
  acquire(): Promise<HeldLock>;
}

export interface HeldLock {
  release(): void;
}

export const lockFile = 'lock';
export const lockOwnerFile = 'lock-owner';

/** Whether a name is one of the lock's files, among them those that SQLite keeps while it is held. */
export function isLockFile(name: string): boolean {
  return name === lockFile || name.startsWith(`${lockFile}-`);
}

const sqliteBusy = 5;

/** The lock of a real directory, which must exist. */
export function directoryLock(directory: string): OwnerLock {
  return { acquire: () => acquireDirectory(directory) };
}

async function acquireDirectory(directory: string): Promise<HeldLock> {
  const database = openDatabase(directory);
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    throw await refusal(directory, error);
  }
  await leaveName(directory);
  return { release: () => database.close() };
}

function openDatabase(directory: string): DatabaseSync {
  try {
    return new DatabaseSync(join(directory, lockFile), { timeout: 0 });
  } catch (error) {
    throw lockFailed(directory, error);
  }
}

async function refusal(directory: string, error: unknown): Promise<ShardError> {
  if (!isBusy(error)) return lockFailed(directory, error);
  const owner = await readOwner(directory);
  const whom = owner === undefined ? 'another process' : `process ${owner.pid} on ${owner.host}`;
  return new ShardError('owned', `${directory} is owned by ${whom}; stop it, or give this shard another directory`, {
    details: { directory, pid: owner?.pid, host: owner?.host },
    cause: error,
  });
}

function lockFailed(directory: string, error: unknown): ShardError {
  const message = `the lock of ${directory} cannot be taken: ${messageOf(error)}; the file ${lockFile} holds no data`;
  return new ShardError('lock-failed', message, { details: { directory }, cause: error });
}

function isBusy(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'errcode' in error && error.errcode === sqliteBusy;
}

interface Owner {
  readonly pid: number;
  readonly host: string;
}

/** A name that cannot be left is missed by nobody but the reader of an error: the lock is held all the same. */
async function leaveName(directory: string): Promise<void> {
  try {
    await writeName(directory);
  } catch {
    return;
  }
}

async function writeName(directory: string): Promise<void> {
  const owner: Owner = { pid: process.pid, host: hostname() };
  const file = await new NodeDisk(directory).open(lockOwnerFile, { create: true });
  try {
    await file.truncate(0);
    await file.write(0, Buffer.from(`${JSON.stringify(owner)}\n`));
  } finally {
    await file.close();
  }
}

async function readOwner(directory: string): Promise<Owner | undefined> {
  try {
    const bytes = await readWhole(new NodeDisk(directory), lockOwnerFile);
    const found: unknown = JSON.parse(bytes?.toString() ?? '');
    return isOwner(found) ? found : undefined;
  } catch {
    return undefined;
  }
}

function isOwner(value: unknown): value is Owner {
  if (typeof value !== 'object' || value === null || !('pid' in value) || !('host' in value)) return false;
  return typeof value.pid === 'number' && typeof value.host === 'string';
}
