import { join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import type { Contender, ContenderReader } from './contender.ts';

/**
 * LMDB with its default settings, except that a transaction is synced before its promise resolves. Asynchronous puts of
 * one turn of the event loop become one transaction in the library's write thread: the fastest durable way it has, and
 * the event loop stays free.
 */
export async function openLmdb(directory: string): Promise<Contender> {
  const database = opened(directory);
  let syncs = 0;
  return {
    async putDurably(batch): Promise<void> {
      let last: Promise<boolean> = Promise.resolve(true);
      for (const { key, value } of batch) last = database.put(key, value);
      await last;
      syncs++;
    },
    close: () => database.close(),
    facts: () => ({ syncs }),
    reopen: () => readLmdb(directory),
  };
}

/** A store that is there, for reading. */
export async function readLmdb(directory: string): Promise<ContenderReader> {
  const database = opened(directory);
  return {
    get: (key) => database.get(key),
    getMany: (keys) => database.getMany([...keys]),
    close: () => database.close(),
  };
}

function opened(directory: string): RootDatabase<Buffer, Buffer> {
  const path = join(directory, 'lmdb');
  return open<Buffer, Buffer>({ path, encoding: 'binary', keyEncoding: 'binary', overlappingSync: false });
}
