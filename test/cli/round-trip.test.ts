import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';
import { CommandRun, type Environment, permafrost } from './command-run.ts';

const runFile = promisify(execFile);

describe('with a Redis and a worker', () => {
  let redis: RedisServer;
  let worker: CommandRun;
  let directory: string;
  let environment: Environment;

  before(async () => {
    redis = await startRedis();
    directory = await mkdtemp(join(tmpdir(), 'permafrost-cli-'));
    environment = {
      PERMAFROST_REDIS_URL: redis.url,
      PERMAFROST_DATA_DIR: join(directory, 'data'),
      PERMAFROST_HTTP_PORT: '0',
      PERMAFROST_ENGINE_TABLE_INITIAL_SIZE: '1024',
    };
    worker = new CommandRun(['worker'], environment);
    await worker.line(/"event":"worker-ready"/);
  });

  after(async () => {
    await worker.stop('SIGKILL');
    await redis.stop();
    await rm(directory, { recursive: true });
  });

  test('a value given as text, as a file and on standard input comes back byte for byte', async () => {
    const bytes = randomBytes(200_000);
    const file = join(directory, 'bytes');
    await writeFile(file, bytes);
    const puts = await Promise.all([
      permafrost(['put', 'as/text', 'grüße'], environment),
      permafrost(['put', 'as/file', '--file', file], environment),
      permafrost(['put', 'as/input'], environment, bytes),
    ]);
    for (const { status, text, notes } of puts)
      assert.match(`${status} ${text}`, /^0 stored as\/\w+ at 0:[0-9a-f]{40}\n$/, notes);
    const [text, fromFile, fromInput] = await Promise.all(
      ['as/text', 'as/file', 'as/input'].map((key) => permafrost(['get', key], environment)),
    );
    assert.equal(text?.text, 'grüße');
    assert.ok(fromFile?.output.equals(bytes));
    assert.ok(fromInput?.output.equals(bytes));
    const output = join(directory, 'output');
    assert.equal((await permafrost(['get', 'as/file', '--output', output], environment)).text, '');
    assert.ok((await readFile(output)).equals(bytes));
  });

  test('a reader that leaves early is no error', async () => {
    await permafrost(['put', 'long'], environment, Buffer.alloc(500_000, 'x'));
    const run = new CommandRun(['get', 'long'], environment);
    run.child.stdout?.once('data', () => run.child.stdout?.destroy());
    const { status, output, notes } = await run.ended();
    assert.deepEqual([status, notes], [0, '']);
    assert.ok(output.length < 500_000);
  });

  test('JSON tells machines the receipt and the record, and the cursor leads to it', async () => {
    const put = await permafrost(['put', 'json', 'one', '--json', '--id', 'put-1'], environment);
    const receipt = JSON.parse(put.text);
    assert.deepEqual({ ...receipt, cursor: '' }, { id: 'put-1', key: 'json', cursor: '', outcome: 'stored' });
    const got = JSON.parse((await permafrost(['get', '--cursor', receipt.cursor, '--json'], environment)).text);
    assert.equal(got.outcome, 'found');
    assert.equal(Buffer.from(got.value, 'base64').toString(), 'one');
    const again = await permafrost(['put', 'json', 'one', '--json', '--id', 'put-1'], environment);
    assert.equal(JSON.parse(again.text).outcome, 'unchanged');
  });

  test('a missing key ends with 1 and prints nothing', async () => {
    const { status, text, notes } = await permafrost(['get', 'nowhere'], environment);
    assert.deepEqual([status, text, notes], [1, '', 'permafrost get: no such record\n']);
    assert.equal((await permafrost(['get', 'nowhere', '--json'], environment)).text, '{"outcome":"missing"}\n');
  });

  test('a put that its condition forbids ends with 1 and says so', async () => {
    await permafrost(['put', 'once', 'first'], environment);
    const { status, notes } = await permafrost(['put', 'once', 'second', '--if-exists', 'reject'], environment);
    assert.equal(status, 1);
    assert.match(notes, /not stored: .*key-exists/);
    assert.equal((await permafrost(['get', 'once'], environment)).text, 'first');
  });

  test('an import of a directory stores each file, and run again stores nothing', async () => {
    const input = join(directory, 'input');
    await mkdir(join(input, 'deep'), { recursive: true });
    await Promise.all(Array.from({ length: 300 }, (_, n) => writeFile(join(input, 'deep', `f${n}`), `content ${n}`)));
    await writeFile(join(input, 'large'), Buffer.alloc(900_000, 'x'));
    const first = await permafrost(['import', input, '--prefix', 'dir/', '--json'], environment);
    assert.equal(first.status, 0, first.notes);
    assert.partialDeepStrictEqual(JSON.parse(first.text), { stored: 301, unchanged: 0, failed: 0 });
    assert.equal((await permafrost(['get', 'dir/deep/f7'], environment)).text, 'content 7');
    const second = await permafrost(['import', input, '--prefix', 'dir/'], environment);
    assert.equal(second.status, 0, second.notes);
    assert.match(second.text, /^0 stored, 301 unchanged; /);
    assert.match(second.notes, /^import: 301 records in /);
  });

  test('an import of lines stores the good ones, names the bad ones and ends with 1', async () => {
    const lines = [
      '{"key":"n/1","text":"one"}',
      '{"key":"n/2","value":"***"}',
      'junk',
      '{"key":"n/3","value":"/w=="}',
      '',
    ];
    const { status, text, notes } = await permafrost(['import', '-'], environment, lines.join('\n'));
    assert.equal(status, 1);
    assert.match(text, /^2 stored, 0 unchanged, 2 failed; 4 B/);
    assert.match(notes, /^failed line 2: value: not strict base64/m);
    assert.match(notes, /^failed line 3: not JSON/m);
    assert.deepEqual((await permafrost(['get', 'n/3'], environment)).output, Buffer.from([0xff]));
  });

  test('an import whose source is silent ends at once at Ctrl-C, and what it was given is stored', async () => {
    const run = new CommandRun(['import', '-'], environment);
    run.child.stdin?.write('{"key":"ctrl-c","text":"kept"}\n');
    while ((await permafrost(['get', 'ctrl-c'], environment)).status === 1);
    const { status, text } = await run.stop('SIGINT');
    assert.equal(status, 130);
    assert.match(text, /^1 stored/);
  });

  test('a key and a value over the limit are refused by name and size, and harm nothing', async () => {
    const key = await permafrost(['put', 'k'.repeat(5000), 'value'], environment);
    assert.equal(key.status, 1);
    assert.match(key.notes, /not stored: .*keyBytesMax/);
    const value = await permafrost(['put', 'value'], environment, Buffer.alloc(17 << 20));
    assert.equal(value.status, 1);
    assert.match(value.notes, /not stored: .*valueBytesMax/);
  });

  test('a cursor that is none is refused, and one that never existed gives no record', async () => {
    const malformed = await permafrost(['get', '--cursor', 'over there'], environment);
    assert.equal(malformed.status, 2);
    assert.match(malformed.notes, /not a cursor/);
    const never = await permafrost(
      ['get', '--cursor', `0:${'0'.repeat(16)}00000000ffff0000${'00000100'}`],
      environment,
    );
    assert.notEqual(never.status, 0);
    assert.equal(never.text, '');
    assert.equal((await permafrost(['put', 'still', 'here'], environment)).status, 0);
  });

  test('a second worker on the same directory is refused by name and disturbs nothing', async () => {
    const { status, text, notes } = await permafrost(['worker'], environment);
    assert.equal(status, 3);
    assert.match(`${text}${notes}`, new RegExp(`owned by process ${worker.child.pid}`));
    assert.equal((await permafrost(['get', 'still'], environment)).text, 'here');
  });

  test('the example of the README archives a record and reads it again', async () => {
    const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
    const client = new URL('../../src/client/index.ts', import.meta.url).href;
    const example = (/```ts\n([\s\S]+?)```/.exec(readme)?.[1] ?? '')
      .replace("'permafrost'", `'${client}'`)
      .replace('redis://127.0.0.1:6379', redis.url);
    const { stdout, stderr } = await runFile(process.execPath, ['--input-type=module-typescript', '--eval', example]);
    assert.equal(stdout, 'stored\n{"total":42}\n', stderr);
  });

  test('SIGTERM ends the worker well, and the next one finds everything', async () => {
    assert.equal((await worker.stop('SIGTERM')).status, 0, worker.lines.join('\n'));
    worker = new CommandRun(['worker'], environment);
    await worker.line(/"event":"worker-ready"/);
    assert.equal((await permafrost(['get', 'dir/deep/f7'], environment)).text, 'content 7');
  });
});

test('a worker on a Redis that may evict and keeps no file says so at start, and works', async () => {
  const redis = await startRedis({ appendOnly: 'no', evictionPolicy: 'allkeys-lru' });
  const directory = await mkdtemp(join(tmpdir(), 'permafrost-cli-'));
  const environment = { PERMAFROST_REDIS_URL: redis.url, PERMAFROST_DATA_DIR: directory, PERMAFROST_HTTP_PORT: '0' };
  const worker = new CommandRun(['worker'], environment);
  try {
    assert.match(await worker.line(/maxmemory-policy is allkeys-lru/), /"level":"error".*noeviction/);
    assert.match(await worker.line(/no append-only file/), /"level":"(error|warn)"/);
    await worker.line(/"event":"worker-ready"/);
    assert.equal((await permafrost(['put', 'a', 'b'], environment)).status, 0);
  } finally {
    await worker.stop('SIGKILL');
    await redis.stop();
    await rm(directory, { recursive: true });
  }
});

test('what was acknowledged is there after the worker was killed and Redis was emptied', async () => {
  const redis = await startRedis();
  const directory = await mkdtemp(join(tmpdir(), 'permafrost-cli-'));
  const environment = { PERMAFROST_REDIS_URL: redis.url, PERMAFROST_DATA_DIR: directory, PERMAFROST_HTTP_PORT: '0' };
  let worker = new CommandRun(['worker'], environment);
  const connection = new Redis(redis.url);
  try {
    await worker.line(/"event":"worker-ready"/);
    assert.equal((await permafrost(['put', 'kept', 'yes'], environment)).status, 0);
    await worker.stop('SIGKILL');
    await connection.flushall();
    worker = new CommandRun(['worker'], environment);
    await worker.line(/"event":"worker-ready"/);
    assert.equal((await permafrost(['get', 'kept'], environment)).text, 'yes');
  } finally {
    connection.disconnect();
    await worker.stop('SIGKILL');
    await redis.stop();
    await rm(directory, { recursive: true });
  }
});
