import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { archiveAddress } from '../../src/cli/redis-address.ts';
import { Client } from '../../src/client/client.ts';
import { loadConfig } from '../../src/service/config.ts';
import { createLogger } from '../../src/service/log.ts';
import { startService } from '../../src/service/service.ts';
import { type Certificates, makeCertificates, tlsMissing } from '../redis/certificates.ts';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';

const logger = createLogger('silent', {});

suite('Redis with TLS', { skip: tlsMissing() ?? false }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'permafrost-tls-'));
  let own: Certificates;
  let stranger: Certificates;
  let server: RedisServer;

  before(async () => {
    for (const name of ['own', 'stranger']) mkdirSync(join(directory, name));
    own = makeCertificates(join(directory, 'own'), 'DNS:redis.test');
    stranger = makeCertificates(join(directory, 'stranger'), 'DNS:redis.test');
    server = await startRedis({ tls: own });
  });
  after(async () => {
    await server.stop();
    rmSync(directory, { recursive: true });
  });

  function flags(changed: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
    return {
      ...{ 'redis-url': server.url, 'data-dir': join(directory, 'data'), 'http-port': '0' },
      ...{ 'engine-table-initial-size': '64', 'disk-pause-below-bytes': '0', 'redis-start-timeout-ms': '30000' },
      ...{ 'redis-tls-ca-file': own.caFile, 'redis-tls-server-name': 'redis.test' },
      ...{ 'redis-tls-cert-file': own.certFile, 'redis-tls-key-file': own.keyFile },
      ...changed,
    };
  }

  test('worker and client talk to a server that asks for certificates and has a name of its own', async () => {
    const config = loadConfig({ flags: flags() });
    const service = await startService(config, { logger });
    const client = await Client.connect({ archive: 'main', redis: archiveAddress(config) });
    try {
      await client.put({ key: 'a', value: 'over TLS' });
      assert.equal((await client.lookup('a'))?.value.toString(), 'over TLS');
    } finally {
      await client.close();
      assert.deepEqual(await service.stop(), { clean: true, drained: true });
    }
  });

  test('a worker ends at once, and says why, when one side does not trust the other', async () => {
    const cases: readonly (readonly [flags: Record<string, string>, reason: RegExp])[] = [
      [{ 'redis-tls-ca-file': stranger.caFile }, /certificate/],
      [{ 'redis-tls-ca-file': '' }, /certificate/],
      [{ 'redis-tls-server-name': '' }, /altnames/],
      [{ 'redis-tls-cert-file': stranger.certFile, 'redis-tls-key-file': stranger.keyFile }, /alert|certificate/i],
      [{ 'redis-tls-cert-file': '', 'redis-tls-key-file': '' }, /alert|certificate/i],
    ];
    for (const [changed, message] of cases) {
      const config = loadConfig({ flags: flags(changed) });
      await assert.rejects(
        startService(config, { logger }),
        { code: 'redis-refused', message },
        JSON.stringify(changed),
      );
    }
  });

  test('settings that TLS would leave out, and files that are not there, are refused before anything starts', () => {
    const refused = (changed: Readonly<Record<string, string>>, expected: object): void => {
      assert.throws(() => loadConfig({ flags: flags(changed) }), expected);
    };
    refused(
      { 'redis-url': 'redis://127.0.0.1' },
      { code: 'invalid-value', message: /^redis\.tlsCaFile .* rediss:\/\// },
    );
    refused({ 'redis-tls-key-file': '' }, { code: 'invalid-value', message: /give both or none/ });
    refused(
      { 'redis-tls-ca-file': join(directory, 'none') },
      { code: 'unreadable-file', message: /^redis\.tlsCaFile/ },
    );
  });
});
