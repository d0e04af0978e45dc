import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
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

const recordCount = 40;
/** Not to be found in what a command prints. */
const secret = 'the value of';

interface Result {
  readonly status: ExitCode;
  readonly text: string;
  readonly notes: string;
}

async function run(
  dataDir: string,
  words: readonly string[],
  interrupted = new AbortController().signal,
): Promise<Result> {
  const environment = { PERMAFROST_DATA_DIR: dataDir, PERMAFROST_ENGINE_TABLE_INITIAL_SIZE: '64' };
  const terminal = { ...recordedTerminal(), clock: systemClock, environment, interrupted };
  const status = await dispatch(words, commands, '0', terminal);
  return { status, text: terminal.output.text, notes: terminal.notes.text };
}

async function emptyDirectory(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'permafrost-offline-'));
  context.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

async function openShard(dataDir: string): Promise<Shard> {
  const config = loadConfig({ flags: { 'data-dir': dataDir, 'engine-table-initial-size': '64' } });
  const directory = shardDirectory(config);
  const disk = new NodeDisk(directory);
  await disk.makeDirectory('');
  const deps = { disk, lock: directoryLock(directory), clock: systemClock, logger: silentLogger, published: undefined };
  return Shard.open(deps, shardSettings(config));
}

/** A data directory with a shard of a few records, closed well. */
async function archive(context: TestContext): Promise<string> {
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
async function damage(dataDir: string): Promise<void> {
  const folder = join(dataDir, 'shard-0000', 'value');
  const [name = ''] = await readdir(folder);
  const bytes = await readFile(join(folder, name));
  const at = bytes.indexOf(`${secret} 20`);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await writeFile(join(folder, name), bytes);
}

test('inspect shows the state and the first records, and no value', async (context) => {
  const dataDir = await archive(context);
  const { status, text, notes } = await run(dataDir, ['inspect', '--sample', '3']);
  assert.equal(status, 0, notes);
  assert.match(text, /^Checkpoint +epoch \d+ of .*, closed cleanly$/m);
  assert.match(text, /^Records +40 at the checkpoint, all versions$/m);
  assert.match(text, /^First +"key\/0", 14 B, /m);
  assert.ok(text.includes('"key/2"') && !text.includes('"key/3"'));
  assert.ok(!text.includes(secret));
  const { text: json } = await run(dataDir, ['inspect', '--json', '--sample', '1']);
  assert.partialDeepStrictEqual(JSON.parse(json), { recordCount: 40, sample: [{ key: 'key/0', payloadBytes: 14 }] });
});

test('verify finds a sound shard sound and ends with 0', async (context) => {
  const { status, text, notes } = await run(await archive(context), ['verify']);
  assert.equal(status, 0, text + notes);
  assert.match(text, /^Read +40 records in one section, /m);
  assert.match(text, /^Verdict +sound/m);
});

test('verify names a flipped bit by file and place, and ends with 1', async (context) => {
  const dataDir = await archive(context);
  await damage(dataDir);
  const { status, text } = await run(dataDir, ['verify']);
  assert.equal(status, 1);
  assert.match(text, /^DAMAGED .*value\/\S+/m);
  assert.match(text, /^Verdict +\d+ problems; restore/m);
  const report = JSON.parse((await run(dataDir, ['verify', '--json'])).text);
  assert.ok(report.problemCount > 0 && report.recordCount === 39, JSON.stringify(report));
});

test('salvage copies all but the damaged record into a sound shard, names the loss and only reads the old one', async (context) => {
  const dataDir = await archive(context);
  await damage(dataDir);
  const before = await contentOf(join(dataDir, 'shard-0000'));
  const target = await emptyDirectory(context);
  const { status, text, notes } = await run(dataDir, ['salvage', target]);
  assert.equal(status, 1, notes);
  assert.match(text, /^39 records copied to .*shard-0000, 1 losses; instance /);
  assert.match(notes, /^LOST .*value\/\S+ at \d+/m);
  assert.deepEqual(await contentOf(join(dataDir, 'shard-0000')), before);
  assert.match((await run(target, ['verify'])).text, /^Read +39 records[\s\S]*^Verdict +sound/m);
  const again = await run(dataDir, ['salvage', target]);
  assert.equal(again.status, 3);
  assert.match(again.notes, /must be empty.*volume-foreign/);
});

/** Every file of the shard but the lock's, by its path. */
async function contentOf(directory: string): Promise<Readonly<Record<string, string>>> {
  const content: Record<string, string> = {};
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name.startsWith('lock')) continue;
    const path = join(entry.parentPath, entry.name);
    content[path] = (await readFile(path)).toString('hex');
  }
  return content;
}

test('salvage into the shard itself is refused before anything is opened', async (context) => {
  const dataDir = await archive(context);
  const { status, notes } = await run(dataDir, ['salvage', join(dataDir, 'below', '..')]);
  assert.equal(status, 2);
  assert.match(notes, /needs another directory/);
});

test('a directory without a shard is refused, and none is created there', async (context) => {
  const dataDir = await emptyDirectory(context);
  for (const words of [['verify'], ['inspect'], ['salvage', join(dataDir, 'copy')]]) {
    const { status, notes } = await run(dataDir, words);
    assert.equal(status, 3, words.join(' '));
    assert.match(notes, /there is no shard in .*shard-0000.*--data-dir/);
  }
  assert.deepEqual(await readdir(dataDir), []);
});

test('verify and salvage are refused while a worker owns the shard; inspect is not', async (context) => {
  const dataDir = await archive(context);
  const owner = await openShard(dataDir);
  try {
    for (const words of [['verify'], ['salvage', join(dataDir, 'copy')]]) {
      const { status, notes } = await run(dataDir, words);
      assert.equal(status, 3, words.join(' '));
      assert.match(notes, new RegExp(`owned by process ${process.pid}.*\\(owned\\)`));
    }
    assert.equal((await run(dataDir, ['inspect'])).status, 0);
  } finally {
    await owner.close();
  }
});

test('an interrupted verify ends with 130', async (context) => {
  const dataDir = await archive(context);
  const { status, text } = await run(dataDir, ['verify'], AbortSignal.abort());
  assert.deepEqual([status, text], [130, '']);
});

test('a salvage that is interrupted before it begins makes nothing', async (context) => {
  const dataDir = await archive(context);
  const target = await emptyDirectory(context);
  const { status, notes } = await run(dataDir, ['salvage', target], AbortSignal.abort());
  assert.equal(status, 130, notes);
  assert.deepEqual(await readdir(target), []);
});

test('a shard of another archive is refused by verify as a problem', async (context) => {
  const { status, text } = await run(await archive(context), ['verify', '--archive', 'other']);
  assert.equal(status, 1);
  assert.match(text, /archive/);
});
