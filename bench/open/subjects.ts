import { unreachable } from '../../src/base/assert.ts';
import type { ContenderReader } from '../contender/contender.ts';
import { type ContenderName, openContender } from '../contender/contenders.ts';
import type { Subject } from './subject.ts';

export const subjectNames = ['classic-level', 'lmdb', 'sqlite', 'engine', 'shard'] as const;
export type SubjectName = (typeof subjectNames)[number];

/** Loads only what it needs. */
export async function subjectOf(name: SubjectName): Promise<Subject> {
  switch (name) {
    case 'engine':
      return (await import('./engine-subject.ts')).engineSubject;
    case 'shard':
      return (await import('./shard-subject.ts')).shardSubject;
    case 'classic-level':
      return peer(name, (await import('../contender/classic-level.ts')).readClassicLevel);
    case 'lmdb':
      return peer(name, (await import('../contender/lmdb.ts')).readLmdb);
    case 'sqlite':
      return peer(name, (await import('../contender/sqlite.ts')).readSqlite);
    default:
      return unreachable(name);
  }
}

function peer(name: ContenderName, read: (directory: string) => Promise<ContenderReader>): Subject {
  return {
    async create(directory) {
      const store = await openContender(name, { directory, keyBytes: 0, syncMs: 0 });
      return { put: (batch) => store.putDurably(batch), close: () => store.close() };
    },
    async open(directory) {
      const reader = await read(directory);
      return { facts: {}, get: async (key) => reader.get(key), close: () => reader.close() };
    },
  };
}
