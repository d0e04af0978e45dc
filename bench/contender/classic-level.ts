import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import type { Contender, ContenderReader } from './contender.ts';

const encodings = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const;

/** LevelDB with its default settings; a batch is one write with `sync: true`. */
export async function openClassicLevel(directory: string): Promise<Contender> {
  const database = await opened(locationIn(directory));
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
    reopen: () => readClassicLevel(directory),
  };
}

/** A store that is there, for reading. */
export async function readClassicLevel(directory: string): Promise<ContenderReader> {
  const database = await opened(locationIn(directory));
  return {
    get: (key) => database.get(key),
    getMany: (keys) => database.getMany([...keys]),
    close: () => database.close(),
  };
}

function locationIn(directory: string): string {
  return join(directory, 'level');
}

async function opened(location: string): Promise<ClassicLevel<Buffer, Buffer>> {
  const database = new ClassicLevel<Buffer, Buffer>(location, encodings);
  await database.open();
  return database;
}
