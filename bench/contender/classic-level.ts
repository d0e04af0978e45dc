import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import type { Contender, ContenderReader } from './contender.ts';

const encodings = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const;

/** LevelDB with its default settings; a batch is one write with `sync: true`. */
export async function openClassicLevel(directory: string): Promise<Contender> {
  const location = join(directory, 'level');
  const database = await opened(location);
  let syncs = 0;
  return {
    async putDurably(batch): Promise<void> {
      await database.batch(
        batch.map(({ key, value }) => ({ type: 'put', key, value })),
        { sync: true },
      );
      syncs++;
    },
    close: () => database.close(),
    facts: () => ({ syncs }),
    async reopen(): Promise<ContenderReader> {
      const again = await opened(location);
      return {
        get: (key) => again.get(key),
        getMany: (keys) => again.getMany([...keys]),
        close: () => again.close(),
      };
    },
  };
}

async function opened(location: string): Promise<ClassicLevel<Buffer, Buffer>> {
  const database = new ClassicLevel<Buffer, Buffer>(location, encodings);
  await database.open();
  return database;
}
