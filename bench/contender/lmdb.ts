import { join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import type { Contender, ContenderReader } from './contender.ts';

/**
 * LMDB with its default settings, except that a transaction is synced before its promise resolves. Asynchronous puts of
 * one turn of the event loop become one transaction in the library's write thread: the fastest durable way it has, and
 * the event loop stays free.
 */
export async function openLmdb(directory: string): Promise<Contender> {
  const path = join(directory, 'lmdb');
  const database = opened(path);
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
    async reopen(): Promise<ContenderReader> {
      const again = opened(path);
      return {
        get: (key) => again.get(key),
        getMany: (keys) => again.getMany([...keys]),
        close: () => again.close(),
      };
    },
  };
}

function opened(path: string): RootDatabase<Buffer, Buffer> {
  return open<Buffer, Buffer>({ path, encoding: 'binary', keyEncoding: 'binary', overlappingSync: false });
}
