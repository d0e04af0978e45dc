import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, before, beforeEach, suite, test } from 'node:test';
import { loadConfig } from '../../src/service/config.ts';
import { createLogger } from '../../src/service/log.ts';
import { type Service, startService } from '../../src/service/service.ts';
import { runHere } from '../cli/run-here.ts';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';

const password = 'planted-redis-password';
const token = 'planted-http-token';

suite('secrets', () => {
  let directory: string;
  let server: RedisServer;
  let log: string[];
  let to: PassThrough;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'permafrost-secrets-'));
    writeFileSync(join(directory, 'password'), `${password}\n`);
    writeFileSync(join(directory, 'token'), `${token}\n`);
    server = await startRedis({ args: ['--requirepass', password] });
  });
  after(async () => {
    await server.stop();
    rmSync(directory, { recursive: true });
  });
  beforeEach(() => {
    log = [];
    to = new PassThrough();
    to.on('data', (chunk: Buffer) => log.push(chunk.toString()));
  });

  /** Each way to say the same secrets. */
  function waysToTell(): readonly Readonly<Record<string, string>>[] {
    const [passwordFile, tokenFile] = [join(directory, 'password'), join(directory, 'token')];
    return [
      {
        PERMAFROST_REDIS_URL: server.url,
        PERMAFROST_REDIS_PASSWORD_FILE: passwordFile,
        PERMAFROST_HTTP_TOKEN_FILE: tokenFile,
      },
      { PERMAFROST_REDIS_URL: server.url, PERMAFROST_REDIS_PASSWORD: password, PERMAFROST_HTTP_TOKEN: token },
      { PERMAFROST_REDIS_URL: `redis://:${password}@127.0.0.1:${server.port}`, PERMAFROST_HTTP_TOKEN: token },
    ];
  }

  async function start(env: Readonly<Record<string, string>>): Promise<Service> {
    const flags = { 'data-dir': join(directory, 'data'), 'http-port': '0', 'disk-pause-below-bytes': '0' };
    const config = loadConfig({ env, flags: { ...flags, 'engine-table-initial-size': '64' } });
    return startService(config, { logger: createLogger('trace', {}, to) });
  }

  test('are in no line of the log at its finest, and on no page', async () => {
    for (const env of waysToTell()) {
      const service = await start(env);
      const pages: string[] = [];
      for (const path of ['/', '/status.json', '/metrics', '/readyz', '/healthz', '/none']) {
        const url = `http://127.0.0.1:${service.http.port}${path}`;
        pages.push(await (await fetch(url)).text());
        pages.push(await (await fetch(url, { headers: { authorization: `Bearer ${token}` } })).text());
      }
      const lost = once(to, 'data');
      await server.kill();
      await lost;
      await server.restart();
      await service.stop();
      assert.match(log.join(''), /worker-starting/);
      assert.match(pages.join(''), /"archive":"main"/);
      for (const text of [...log, ...pages]) assert.doesNotMatch(text, /planted/);
    }
  });

  test('are in no error of a worker that is refused, and in its log neither', async () => {
    const wrong = 'planted-wrong-password';
    for (const env of [
      { PERMAFROST_REDIS_URL: server.url, PERMAFROST_REDIS_PASSWORD: wrong },
      { PERMAFROST_REDIS_URL: `redis://planted-no:${wrong}@127.0.0.1:${server.port}` },
      { PERMAFROST_REDIS_URL: `redis://:${wrong}@127.0.0.1:1`, PERMAFROST_REDIS_START_TIMEOUT_MS: '300' },
    ]) {
      await assert.rejects(start(env), (error: Error & { details: unknown }) => {
        for (const text of [error.message, error.stack, JSON.stringify(error.details)]) {
          assert.doesNotMatch(String(text), /planted-wrong/);
        }
        return true;
      });
    }
    assert.match(log.join(''), /worker-starting/);
    assert.doesNotMatch(log.join(''), /planted-wrong/);
  });

  test('are not printed with the configuration, nor in what the command line says when it is refused', async () => {
    for (const env of waysToTell()) {
      const printed = await runHere(['worker', '--print-config'], env);
      assert.equal(printed.status, 0);
      assert.match(printed.text, /\*\*\*/);
      const refused = await runHere(['get', 'a'], {
        ...env,
        PERMAFROST_REDIS_START_TIMEOUT_MS: '300',
        PERMAFROST_REDIS_URL: 'redis://:planted@127.0.0.1:1',
      });
      assert.equal(refused.status, 3);
      for (const { text, notes } of [printed, refused]) assert.doesNotMatch(text + notes, /planted/);
    }
  });
});
