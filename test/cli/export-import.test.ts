import assert from 'node:assert/strict';
import { appendFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, type TestContext, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { storedKeyOf } from '../../src/protocol/record-key.ts';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';
import { WorkerProcess } from '../service/worker-process.ts';
import { Random } from '../simulation/random.ts';
import { emptyDirectory, openShard, run } from './offline-archive.ts';
import { type CommandOutcome, runHere } from './run-here.ts';

const keyCount = 350;
const recordCount = 1500;

/** A data directory with many versions of some keys, bytes and texts. */
async function variedArchive(context: TestContext): Promise<string> {
  const dataDir = await emptyDirectory(context);
  const shard = await openShard(dataDir);
  const random = new Random(7);
  for (let from = 0; from < recordCount; from += 500) {
    const records = Array.from({ length: 500 }, () => {
      const key = `key/${random.below(keyCount)}`;
      // Few different values, so that versions that follow each other are often equal.
      const payload = random.chance(0.5)
        ? Buffer.from(`text ${random.below(3)}`)
        : Buffer.from([0xff, random.below(3)]);
      return { key, storedKey: storedKeyOf(key), payload };
    });
    await shard.put({ putId: `put-${from}`, records, ifExists: 'append', redelivered: false });
  }
  await shard.close();
  return dataDir;
}

/** What identifies records: the values of each key, in their order. */
async function versionsIn(dataDir: string): Promise<Readonly<Record<string, readonly string[]>>> {
  const { status, text, notes } = await run(dataDir, ['export', '-', '--path', join(dataDir, 'shard-0000')]);
  assert.equal(status, 0, notes);
  const versions: Record<string, string[]> = {};
  for (const line of text.split('\n').filter((each) => each !== '')) {
    const { key, text: value, value: bytes } = JSON.parse(line);
    versions[key] ??= [];
    versions[key].push(value ?? `base64 ${bytes}`);
  }
  return versions;
}

suite('an export that is imported', () => {
  let redis: RedisServer;
  before(async () => {
    redis = await startRedis();
  });
  after(() => redis.stop());

  /** Runs `use` beside a worker on a new archive, and gives the archive's directory. */
  async function imported(
    context: TestContext,
    use: (run: (words: readonly string[], signal?: AbortSignal) => Promise<CommandOutcome>) => Promise<void>,
  ): Promise<string> {
    const dataDir = await emptyDirectory(context);
    const archive = `a-${process.pid}-${Date.now()}`;
    const environment = { PERMAFROST_REDIS_URL: redis.url, PERMAFROST_ARCHIVE: archive };
    const worker = new WorkerProcess({
      ...environment,
      PERMAFROST_DATA_DIR: dataDir,
      PERMAFROST_HTTP_PORT: '0',
      PERMAFROST_DISK_PAUSE_BELOW_BYTES: '0',
      PERMAFROST_ENGINE_TABLE_INITIAL_SIZE: '64',
    });
    context.after(() => worker.end('SIGKILL'));
    await worker.logged('worker-ready');
    await use((words, signal) => runHere(words, environment, '', signal));
    assert.equal(await worker.end('SIGTERM'), 0);
    return dataDir;
  }

  test('gives the same versions of the same keys, also after an interruption, and once however often', async (context) => {
    const source = await variedArchive(context);
    const directory = join(await emptyDirectory(context), 'export');
    await run(source, ['export', `${directory}/`, '--part-bytes', '25000']);
    assert.ok((await readdir(directory)).length > 3);
    const target = await imported(context, async (use) => {
      const interrupt = new AbortController();
      const first = use(['import', directory], interrupt.signal);
      setImmediate(() => interrupt.abort());
      await first;
      const second = JSON.parse((await use(['import', directory, '--json'])).text);
      assert.equal(second.stored + second.unchanged, recordCount);
      const third = JSON.parse((await use(['import', directory, '--json'])).text);
      assert.partialDeepStrictEqual(third, { stored: 0, unchanged: recordCount, failed: 0 });
    });
    assert.deepEqual(await versionsIn(target), await versionsIn(source));
  });

  test('may be compressed, and is checked against its list', async (context) => {
    const source = await variedArchive(context);
    const directory = await emptyDirectory(context);
    const lines = (await run(source, ['export', '-'])).text;
    const [gzip, zstd] = ['a.ndjson.gz', 'a.ndjson.zst'].map((name) => join(directory, name));
    await writeFile(gzip ?? '', gzipSync(lines));
    // In two frames, as tools make them that compress in parallel.
    const half = lines.indexOf('\n', lines.length >> 1);
    const frames = [lines.slice(0, half), lines.slice(half)].map((part) => zstdCompressSync(part));
    await writeFile(zstd ?? '', Buffer.concat(frames));
    const parts = join(directory, 'parts');
    await run(source, ['export', `${parts}/`, '--compress', 'none']);
    await appendFile(join(parts, 'part-000001.ndjson'), '{"key":"strange","text":"line"}\n');
    const target = await imported(context, async (use) => {
      const words = ['import', '--if-exists', 'versions', '--json'];
      const first = JSON.parse((await use([...words, gzip ?? ''])).text);
      assert.partialDeepStrictEqual(first, { stored: recordCount, unchanged: 0 });
      const again = JSON.parse((await use([...words, zstd ?? ''])).text);
      assert.partialDeepStrictEqual(again, { stored: 0, unchanged: recordCount });
      const strange = await use(['import', parts, '--prefix', 'strange/']);
      assert.equal(strange.status, 1);
      assert.match(strange.notes, /failed part-000001\.ndjson: its SHA-256 is not the one in permafrost-export\.json/);
    });
    const { strange: _, ...versions } = await versionsIn(target);
    const own = Object.fromEntries(Object.entries(versions).filter(([key]) => !key.startsWith('strange/')));
    assert.deepEqual(own, await versionsIn(source));
  });

  test('goes on where a cut file ended, and says how much of it is stored', async (context) => {
    const source = await variedArchive(context);
    const directory = await emptyDirectory(context);
    const lines = (await run(source, ['export', '-'])).text;
    const file = join(directory, 'a.ndjson.gz');
    // Two members: the first is whole, so that the cut is behind line 1,200.
    const rows = lines.trimEnd().split('\n');
    const first = gzipSync(`${rows.slice(0, 1200).join('\n')}\n`);
    const whole = Buffer.concat([first, gzipSync(`${rows.slice(1200).join('\n')}\n`)]);
    const target = await imported(context, async (use) => {
      for (const rule of ['versions', 'skip-same']) {
        const words = ['import', file, '--if-exists', rule, '--prefix', `${rule}/`, '--json'];
        await writeFile(file, whole.subarray(0, first.length + 20));
        const broken = await use(words);
        assert.equal(broken.status, 3);
        assert.match(broken.notes, /stopped: .*a\.ndjson\.gz cannot be read after line 1200: unexpected end of file/);
        assert.match(broken.notes, /with the source whole, run the import again/);
        const counts = JSON.parse(broken.text);
        // Of versions only whole batches go, which are the same when it is run again.
        if (rule === 'versions') assert.ok(counts.stored > 700 && counts.stored < 1200, broken.text);
        else assert.equal(counts.stored + counts.unchanged, 1200);
        await writeFile(file, whole);
        const again = await use(words);
        assert.equal(again.status, 0, again.notes);
        const expected = { stored: recordCount - counts.stored, unchanged: counts.stored };
        if (rule === 'versions') assert.partialDeepStrictEqual(JSON.parse(again.text), expected);
      }
    });
    const versions = Object.entries(await versionsIn(target)).filter(([key]) => key.startsWith('versions/'));
    const own = Object.fromEntries(versions.map(([key, values]) => [key.slice('versions/'.length), values]));
    assert.deepEqual(own, await versionsIn(source));
  });
});
