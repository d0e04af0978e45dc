import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { type ConfigSources, configFiles, loadConfig, maskedConfig, settings } from '../../src/service/config.ts';
import { ConfigError } from '../../src/service/config-error.ts';
import { ownShards } from '../../src/service/shard-config.ts';

function refusal(sources: ConfigSources): ConfigError {
  try {
    loadConfig(sources);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error;
  }
  assert.fail('the configuration was accepted');
}

suite('config', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'permafrost-config-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  function file(name: string, content: unknown): string {
    const path = join(folder, name);
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  }

  test('has the defaults that config/default.json shows, setting for setting', () => {
    const path = new URL('../../config/default.json', import.meta.url);
    assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), loadConfig({}));
  });

  test('accepts the file for containers', () => {
    const path = new URL('../../config/container.json', import.meta.url).pathname;
    assert.equal(loadConfig({ files: [path] }).http.host, '0.0.0.0');
  });

  test('lets flags win over the environment, that over files, and a later file over an earlier one', () => {
    const first = file('first.json', { archive: 'one', http: { port: 1 }, commit: { delayMs: 1 }, shard: 1 });
    const second = file('second.json', { http: { port: 2 }, commit: { delayMs: 2 }, shard: 2 });
    const env = { PERMAFROST_COMMIT_DELAY_MS: '3', PERMAFROST_SHARD: '3', HOME: '/root' };
    const config = loadConfig({ files: [first, second], env, flags: { shard: '4' } });
    assert.deepEqual([config.archive, config.http.port, config.commit.delayMs, config.shard], ['one', 2, 3, 4]);
  });

  test('names every setting once, as key, variable and flag', () => {
    const url = settings.find(({ key }) => key === 'redis.url');
    assert.deepEqual([url?.env, url?.flag], ['PERMAFROST_REDIS_URL', 'redis-url']);
    for (const name of ['key', 'env', 'flag'] as const) {
      assert.equal(new Set(settings.map((setting) => setting[name])).size, settings.length);
    }
  });

  test('knows the shards of a worker: one, a range, a list', () => {
    const shards = (flags: Readonly<Record<string, string>>): readonly number[] => ownShards(loadConfig({ flags }));
    assert.deepEqual(shards({}), [0]);
    assert.deepEqual(shards({ shard: '7' }), [7]);
    assert.deepEqual(shards({ shards: '0-3' }), [0, 1, 2, 3]);
    assert.deepEqual(shards({ shards: '9,0-1,4' }), [0, 1, 4, 9]);
    for (const text of ['0-', '3-1', '1,1', '0-2,1', ' 1', '01', '4096', 'all', ',']) {
      assert.equal(refusal({ flags: { shards: text } }).details.key, 'shards', text);
    }
    assert.equal(refusal({ flags: { shards: '0-3', shard: '1' } }).details.key, 'shards');
  });

  const wrong: readonly (readonly [string, () => ConfigSources, string])[] = [
    ['an unknown key in a file', () => ({ files: [file('a.json', { redis: { uri: 'x' } })] }), 'redis.uri'],
    ['an unknown variable', () => ({ env: { PERMAFROST_REDIS_URI: 'x' } }), 'PERMAFROST_REDIS_URI'],
    ['an unknown flag', () => ({ flags: { 'redis-uri': 'x' } }), 'redis-uri'],
    ['a word where a number is due', () => ({ env: { PERMAFROST_HTTP_PORT: 'tcp://10.0.0.1:80' } }), 'http.port'],
    ['a number with a tail', () => ({ flags: { 'commit-delay-ms': '5ms' } }), 'commit.delayMs'],
    ['a number out of range', () => ({ flags: { 'http-port': '65536' } }), 'http.port'],
    ['a string in a file where a number is due', () => ({ files: [file('b.json', { shard: '1' })] }), 'shard'],
    ['a list where an object is due', () => ({ files: [file('c.json', { redis: [] })] }), 'redis'],
    [
      'a table size that is no power of two',
      () => ({ flags: { 'engine-table-initial-size': '1000' } }),
      'engine.tableInitialSize',
    ],
    ['an archive that is no name', () => ({ flags: { archive: '../etc' } }), 'archive'],
    ['something else than a URL of Redis', () => ({ flags: { 'redis-url': 'http://host' } }), 'redis.url'],
    ['a cluster node without a port', () => ({ flags: { 'redis-cluster-nodes': 'a:1,b' } }), 'redis.clusterNodes'],
    ['a level that does not exist', () => ({ flags: { 'log-level': 'loud' } }), 'log.level'],
    ['neither true nor false', () => ({ flags: { 'trust-volume': 'yes' } }), 'trustVolume'],
    [
      'a disk that would pause for ever',
      () => ({ flags: { 'disk-resume-above-bytes': '1' } }),
      'disk.resumeAboveBytes',
    ],
    [
      'a value that fits into no reply',
      () => ({ flags: { 'limits-reply-bytes-max': '1024' } }),
      'limits.replyBytesMax',
    ],
  ];
  for (const [what, sources, key] of wrong) {
    test(`refuses ${what} and names it`, () => {
      const error = refusal(sources());
      assert.equal(error.details.key, key);
      assert.ok(error.message.includes(key), error.message);
    });
  }

  test('refuses a file that is missing or not JSON, and names it', () => {
    for (const path of [join(folder, 'missing.json'), file('bad.json', '{'), file('list.json', [])]) {
      const error = refusal({ files: [path] });
      assert.equal(error.code, 'unreadable-file');
      assert.ok(error.message.includes(path));
    }
  });

  test('overlooks what Kubernetes adds for a service of our name', () => {
    const env = {
      PERMAFROST_SERVICE_HOST: '10.0.0.1',
      PERMAFROST_SERVICE_PORT_HTTP: '8410',
      PERMAFROST_PORT: 'tcp://10.0.0.1:8410',
      PERMAFROST_PORT_8410_TCP_ADDR: '10.0.0.1',
    };
    assert.deepEqual(loadConfig({ env }), loadConfig({}));
  });

  test('takes no names from a prototype', () => {
    assert.equal(refusal({ files: [file('p.json', '{"__proto__": {"archive": "x"}}')] }).code, 'unknown-key');
    assert.equal(refusal({ flags: { constructor: 'x' } }).code, 'unknown-key');
  });

  test('shows no secret, neither masked nor in an error', () => {
    const flags = { 'redis-url': 'redis://user:secret@host:1', 'redis-password': 'hidden' };
    const shown = JSON.stringify(maskedConfig(loadConfig({ flags })));
    assert.doesNotMatch(shown, /secret|hidden/);
    assert.match(shown, /redis:\/\/user:\*\*\*@host:1/);
    assert.doesNotMatch(refusal({ flags: { 'redis-url': 'http://user:secret@host' } }).message, /secret/);
  });

  test('reads secrets from files, and shows them no more than others', () => {
    const password = join(folder, 'password');
    const token = join(folder, 'token');
    writeFileSync(password, 'hidden word\n');
    writeFileSync(token, 'hidden-token\r\n');
    const env = { PERMAFROST_REDIS_PASSWORD_FILE: password, PERMAFROST_HTTP_TOKEN_FILE: token };
    const config = loadConfig({ env });
    assert.deepEqual([config.redis.password, config.http.token], ['hidden word', 'hidden-token']);
    assert.doesNotMatch(JSON.stringify(maskedConfig(config)), /hidden/);
  });

  test('refuses a file for a secret that is not there, is empty, says nothing useful, or comes beside the secret', () => {
    const empty = join(folder, 'empty');
    writeFileSync(empty, '\n');
    const spaced = join(folder, 'spaced');
    writeFileSync(spaced, 'hidden words');
    const cases: readonly (readonly [flags: Record<string, string>, code: string])[] = [
      [{ 'redis-password-file': join(folder, 'none') }, 'unreadable-file'],
      [{ 'http-token-file': empty }, 'invalid-value'],
      [{ 'http-token-file': spaced }, 'invalid-value'],
      [{ 'http-token': 'hidden words' }, 'invalid-value'],
      [{ 'redis-password-file': spaced, 'redis-password': 'hidden' }, 'invalid-value'],
    ];
    for (const [flags, code] of cases) {
      const error = refusal({ flags });
      assert.equal(error.code, code, JSON.stringify(flags));
      assert.doesNotMatch(error.message, /hidden/);
    }
  });

  test('reads the names of files from the environment', () => {
    assert.deepEqual(configFiles({ PERMAFROST_CONFIG: 'a.json,b.json' }), ['a.json', 'b.json']);
    assert.deepEqual(configFiles({}), []);
    assert.deepEqual(loadConfig({ env: { PERMAFROST_CONFIG: 'a.json' } }), loadConfig({}));
  });
});
