import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import type { ExitCode } from '../../src/cli/command.ts';
import { commands } from '../../src/cli/commands.ts';
import { dispatch } from '../../src/cli/dispatch.ts';
import { NodeDisk } from '../../src/disk/node-disk.ts';
import { storedKeyOf } from '../../src/protocol/record-key.ts';
import { loadConfig } from '../../src/service/config.ts';
import { shardDirectory, shardSettings } from '../../src/service/shard-config.ts';
import { directoryLock } from '../../src/shard/owner-lock.ts';
import { Shard } from '../../src/shard/shard.ts';
import { recordedTerminal } from './manual-terminal.ts';

export const recordCount = 40;
/** Not to be found in what a command prints. */
export const secret = 'the value of';

export interface Result {
  readonly status: ExitCode;
  readonly text: string;
  readonly notes: string;
}

export async function run(
  dataDir: string,
  words: readonly string[],
  interrupted: AbortSignal = new AbortController().signal,
): Promise<Result> {
  const environment = { PERMAFROST_DATA_DIR: dataDir, PERMAFROST_ENGINE_TABLE_INITIAL_SIZE: '64' };
  const terminal = { ...recordedTerminal(), clock: systemClock, environment, interrupted };
  const status = await dispatch(words, commands, '0', terminal);
  return { status, text: terminal.output.text, notes: terminal.notes.text };
}

export async function emptyDirectory(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'permafrost-offline-'));
  context.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

export async function openShard(dataDir: string, shard = 0): Promise<Shard> {
  const flags = { 'data-dir': dataDir, shard: `${shard}`, 'engine-table-initial-size': '64' };
  const config = loadConfig({ flags });
  const directory = shardDirectory(config);
  const disk = new NodeDisk(directory);
  await disk.makeDirectory('');
  const deps = { disk, lock: directoryLock(directory), clock: systemClock, logger: silentLogger, published: undefined };
  return Shard.open(deps, shardSettings(config));
}

/** A data directory with a shard of a few records, closed well. */
export async function archive(context: TestContext): Promise<string> {
  const dataDir = await emptyDirectory(context);
  const shard = await openShard(dataDir);
  const records = Array.from({ length: recordCount }, (_, n) => {
    const key = `key/${n}`;
    return { key, storedKey: storedKeyOf(key), payload: Buffer.from(`${secret} ${n}`) };
  });
  await shard.put({ putId: 'put-1', records, ifExists: 'append', redelivered: false });
  await shard.close();
  return dataDir;
}

/** Flips a bit in the middle of the one value file. */
export async function damage(dataDir: string): Promise<void> {
  const folder = join(dataDir, 'shard-0000', 'value');
  const [name = ''] = await readdir(folder);
  const bytes = await readFile(join(folder, name));
  const at = bytes.indexOf(`${secret} 20`);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await writeFile(join(folder, name), bytes);
}

/** Every file of the shard but the lock's, by its path. */
export async function contentOf(directory: string): Promise<Readonly<Record<string, string>>> {
  const content: Record<string, string> = {};
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name.startsWith('lock')) continue;
    const path = join(entry.parentPath, entry.name);
    content[path] = (await readFile(path)).toString('hex');
  }
  return content;
}
