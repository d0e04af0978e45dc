import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { permafrost } from './command-run.ts';

/** Nothing listens there. */
const noRedis = 'redis://127.0.0.1:1';

test('the program prints its help and its version, and ends with 0', async () => {
  const help = await permafrost(['--help']);
  assert.deepEqual([help.status, help.notes], [0, '']);
  assert.match(help.text, /Usage: permafrost <command>/);
  const version = await permafrost(['--version']);
  assert.match(version.text, /^permafrost \d+\.\d+\.\d+\n$/);
});

test('a wrong command line ends with 2, says why on standard error and prints nothing', async () => {
  const lines = [[], ['frobnicate'], ['get', '--frob'], ['put'], ['get', 'a', '--timeout', 'soon']];
  for (const { status, text, notes } of await Promise.all(lines.map((words) => permafrost(words)))) {
    assert.deepEqual([status, text], [2, ''], notes);
    assert.notEqual(notes, '');
  }
});

test('without Redis each command says where it looked, and ends with 3', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'permafrost-no-redis-'));
  const environment = {
    PERMAFROST_REDIS_URL: noRedis,
    PERMAFROST_REDIS_START_TIMEOUT_MS: '300',
    PERMAFROST_DATA_DIR: directory,
    PERMAFROST_HTTP_PORT: '0',
  };
  try {
    const lines = [['put', 'a', 'b'], ['get', 'a'], ['import', 'test/cli'], ['worker']];
    for (const { status, text, notes } of await Promise.all(lines.map((words) => permafrost(words, environment)))) {
      assert.equal(status, 3, notes);
      assert.match(`${text}${notes}`, /127\.0\.0\.1:1\b/);
      assert.match(`${text}${notes}`, /300 ms/);
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('an unknown setting in environment, file or option and a bad value are refused with 2, by name', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'permafrost-settings-'));
  try {
    const file = join(directory, 'settings.json');
    await writeFile(file, '{ "redis": { "uri": "redis://here" } }');
    const cases = [
      { words: ['worker'], environment: { PERMAFROST_REDIS_URI: 'redis://here' }, told: /PERMAFROST_REDIS_URI/ },
      { words: ['worker', '--config', file], environment: {}, told: /redis\.uri in .*settings\.json/ },
      { words: ['worker', '--config', join(directory, 'missing.json')], environment: {}, told: /missing\.json/ },
      {
        words: ['worker', '--redis-uri', 'redis://here'],
        environment: {},
        told: /--redis-uri; did you mean --redis-url\?/,
      },
      { words: ['worker', '--http-port', '99999'], environment: {}, told: /http\.port/ },
      { words: ['get', 'a'], environment: { PERMAFROST_ARCHIVE: 'Not A Name' }, told: /archive/ },
    ];
    const results = cases.map(({ words, environment }) => permafrost(words, environment));
    for (const [index, { status, notes }] of (await Promise.all(results)).entries()) {
      assert.equal(status, 2, notes);
      assert.match(notes, cases[index]?.told ?? /^$/);
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('the settings of a worker are printed with every key and no password', async () => {
  const { status, text } = await permafrost(['worker', '--print-config', '--shard', '3'], {
    PERMAFROST_REDIS_URL: 'redis://me:secret@127.0.0.1:6379',
    PERMAFROST_REDIS_PASSWORD: 'secret',
  });
  assert.equal(status, 0);
  assert.partialDeepStrictEqual(JSON.parse(text), { shard: 3, archive: 'main', http: { port: 8410 } });
  assert.ok(!text.includes('secret'));
});

test('a file to import that is not there is refused before anything is connected', async () => {
  const { status, notes } = await permafrost(['import', '/nowhere/at/all'], { PERMAFROST_REDIS_URL: noRedis });
  assert.equal(status, 3);
  assert.match(notes, /\/nowhere\/at\/all cannot be read: ENOENT.*\(unreadable-input\)/);
});
