import { unreachable } from '../../src/base/assert.ts';
import type { Contender } from './contender.ts';

export const contenderNames = ['raw-log', 'classic-level', 'lmdb', 'sqlite', 'permafrost'] as const;
export type ContenderName = (typeof contenderNames)[number];

/** How each one is used, for the head of a report. */
export const contenderNotes: Readonly<Record<ContenderName, string>> = {
  'raw-log': 'one file, a gathered write and an fdatasync a batch; nothing to look records up with',
  'classic-level': 'LevelDB with its default settings; a batch is one write with sync: true; reads in its own threads',
  lmdb: 'default settings, overlappingSync off; a batch is put() for each record and one transaction, synced when its promise resolves; reads a memory map in the caller’s thread',
  sqlite:
    'node:sqlite, WAL, synchronous=FULL, 64 MiB of cache, a checkpoint after 10,000 pages; a batch is one transaction of a prepared statement; writes and reads in the caller’s thread',
  permafrost:
    'the freezer with the service’s default settings; a batch is putMany and commit; the table starts with the service’s 65,536 buckets and grows by itself, resizes included',
};

export interface Seat {
  /** Existing and empty. */
  readonly directory: string;
  readonly keyBytes: number;
  /** Time between two syncs of the freezer; the others know no such thing. */
  readonly syncMs: number;
}

/** Opens an empty store. Loads only what it needs, so that a process's memory is that of one contender. */
export async function openContender(name: ContenderName, { directory, keyBytes, syncMs }: Seat): Promise<Contender> {
  switch (name) {
    case 'raw-log':
      return (await import('./raw-log.ts')).openRawLog(directory);
    case 'classic-level':
      return (await import('./classic-level.ts')).openClassicLevel(directory);
    case 'lmdb':
      return (await import('./lmdb.ts')).openLmdb(directory);
    case 'sqlite':
      return (await import('./sqlite.ts')).openSqlite(directory);
    case 'permafrost':
      return (await import('./permafrost.ts')).openPermafrost(directory, keyBytes, syncMs);
    default:
      return unreachable(name);
  }
}
