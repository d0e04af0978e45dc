import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Redis } from 'ioredis';
import { type Environment, npmStart, permafrost } from './command-run.ts';

interface Place {
  readonly input: string;
  readonly environment: Environment;
}

/** A directory with a few files, and a data directory of its own. */
async function place(context: TestContext): Promise<Place> {
  const directory = await mkdtemp(join(tmpdir(), 'permafrost-start-'));
  context.after(() => rm(directory, { recursive: true, force: true }));
  const input = join(directory, 'some-input');
  await mkdir(join(input, 'below'), { recursive: true });
  await Promise.all(
    Array.from({ length: 50 }, (_, n) => writeFile(join(input, 'below', `f${n}`), `content ${n}`.repeat(n))),
  );
  await writeFile(join(input, 'large'), Buffer.alloc(40_000, 'abcdefghij'));
  const environment = {
    PERMAFROST_DATA_DIR: join(directory, 'data'),
    PERMAFROST_HTTP_PORT: '0',
    PERMAFROST_LIMITS_VALUE_BYTES_MAX: '16384',
    PERMAFROST_CLOSE_DEADLINE_MS: '3000',
    PERMAFROST_ENGINE_TABLE_INITIAL_SIZE: '1024',
  };
  return { input, environment };
}

/** Ends the server whose URL is in the line, if it still runs. */
async function endRedis(line: string): Promise<void> {
  const redis = new Redis(/redis:\/\/[\d.:]+/.exec(line)?.[0] ?? '', { retryStrategy: () => null });
  redis.on('error', () => {});
  await redis.shutdown('NOSAVE').catch(() => {});
  redis.disconnect();
}

test('archives the input, reads a sample back and ends with 0; run again it stores nothing new', async (context) => {
  const { input, environment } = await place(context);
  const first = await npmStart(['--exit', '--input', input], environment).ended();
  assert.equal(first.status, 0, first.text + first.notes);
  assert.match(first.text, /^Input +53 records .*, 3 of them parts of files above 16 KiB$/m);
  assert.match(first.text, /^ +53 stored, 0 unchanged; /m);
  assert.match(first.text, /^Looked up +53 by key, 18 by cursor, .*: all equal byte for byte$/m);
  assert.match(first.text, /^Commits +\d+, checkpoint epoch \d+, 53 records in the archive$/m);
  assert.match(first.text, /^Receipts +p50 .*, p99 /m);
  const second = await npmStart(['--exit', '--input', input], environment).ended();
  assert.equal(second.status, 0, second.text + second.notes);
  assert.match(second.text, /^Worker .*: found 53 records, checkpoint epoch \d+, /m);
  assert.match(second.text, /^ +0 stored, 53 unchanged; /m);
});

test('keeps serving, refuses a second start, and ends well with 0 at Ctrl-C', async (context) => {
  const { input, environment } = await place(context);
  const run = npmStart(['--input', input], environment);
  try {
    const line = await run.line(/PERMAFROST_REDIS_URL=\S+ npm run --silent permafrost/);
    const url = /PERMAFROST_REDIS_URL=(\S+)/.exec(line)?.[1] ?? '';
    const got = await permafrost(['get', 'some-input/below/f3'], { PERMAFROST_REDIS_URL: url });
    assert.equal(got.text, 'content 3'.repeat(3), got.notes);
    const second = await npmStart(['--exit', '--input', input], environment).ended();
    assert.equal(second.status, 1);
    assert.match(second.notes, /npm start runs already .*process \d+.*PERMAFROST_DATA_DIR/);
  } finally {
    const { status, notes } = await run.stop('SIGINT');
    assert.equal(status, 0, notes);
  }
});

test('after a kill the next start ends the Redis that was left, and finds the archive', async (context) => {
  const { input, environment } = await place(context);
  const killed = npmStart(['--input', input], environment);
  const line = await killed.line(/^Redis +redis:/);
  context.after(() => endRedis(line));
  await killed.line(/^Serving/);
  await killed.stop('SIGKILL');
  const next = await npmStart(['--exit', '--input', input], environment).ended();
  assert.equal(next.status, 0, next.text + next.notes);
  assert.match(next.text, /^ +0 stored, 53 unchanged; /m);
});

test('a Redis that dies ends it with 1 and the place of the log', async (context) => {
  const { input, environment } = await place(context);
  const run = npmStart(['--input', input], environment);
  const line = await run.line(/^Redis +redis:/);
  await run.line(/^Serving/);
  await endRedis(line);
  const { status, notes } = await run.ended();
  assert.equal(status, 1, notes);
  assert.match(notes, /the private Redis ended .*redis\.log \(redis-failed\)/);
});

test('an input that is not there ends with 1 and leaves nothing running', async (context) => {
  const { input, environment } = await place(context);
  const { status, notes } = await npmStart(['--exit', '--input', `${input}-missing`], environment).ended();
  assert.equal(status, 1);
  assert.match(notes, /some-input-missing: ENOENT.*unreadable-input/);
  assert.equal((await npmStart(['--exit', '--input', input], environment).ended()).status, 0);
});
