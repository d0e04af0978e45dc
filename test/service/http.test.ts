import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, suite, test } from 'node:test';
import { alivePage, readyPage } from '../../src/service/health.ts';
import { type HttpServer, serveHttp } from '../../src/service/http.ts';

const health = { archive: 'main', warnings: [], shards: [] };

suite('http', () => {
  let server: HttpServer;
  let reasons: string[] = [];

  before(async () => {
    const broken = { contentType: 'text/plain', body: () => Promise.reject(new Error('a secret')) };
    const pages = { '/readyz': readyPage(async () => ({ ...health, reasons })), '/broken': broken };
    server = await serveHttp({ host: '127.0.0.1', port: 0 }, pages);
  });
  after(() => server.close());

  function ask(path: string, method = 'GET'): Promise<Response> {
    return fetch(`http://127.0.0.1:${server.port}${path}`, { method });
  }

  test('says ready with 200, and not ready with 503 and the reasons', async () => {
    const ready = await ask('/readyz?verbose');
    assert.deepEqual([ready.status, await ready.json()], [200, { ready: true, reasons: [], pauses: [], ...health }]);
    reasons = ['starting', 'redis-unreachable'];
    const not = await ask('/readyz');
    assert.deepEqual([not.status, await not.json()], [503, { ready: false, reasons, pauses: [], ...health }]);
  });

  test('knows its pages and methods and nothing else', async () => {
    const answers: number[] = [];
    for (const path of ['/', '/__proto__', '/constructor', '/readyz/']) answers.push((await ask(path)).status);
    assert.deepEqual(answers, [404, 404, 404, 404]);
    assert.equal((await ask('/readyz', 'POST')).status, 405);
    const head = await ask('/readyz', 'HEAD');
    assert.equal(await head.text(), '');
  });

  test('answers a page that fails with 500 and without its error', async () => {
    const answer = await ask('/broken');
    assert.equal(answer.status, 500);
    assert.doesNotMatch(await answer.text(), /secret/);
  });

  test('asks for the token, but not for what probes ask', async () => {
    const secret = { contentType: 'text/plain', body: async () => ({ status: 200, text: 'numbers' }) };
    const pages = {
      '/metrics': secret,
      '/healthz': alivePage,
      '/readyz': readyPage(async () => ({ ...health, reasons: [] })),
    };
    const closed = await serveHttp({ host: '127.0.0.1', port: 0, token: 'a-token' }, pages);
    const status = async (path: string, authorization?: string): Promise<number> => {
      const headers = authorization === undefined ? {} : { authorization };
      const answer = await fetch(`http://127.0.0.1:${closed.port}${path}`, { headers });
      assert.equal(answer.headers.get('www-authenticate'), answer.status === 401 ? 'Bearer' : null);
      assert.equal((await answer.text()).includes('numbers'), answer.status === 200 && path === '/metrics');
      return answer.status;
    };
    assert.equal(await status('/metrics', 'Bearer a-token'), 200);
    for (const wrong of [
      undefined,
      'Bearer',
      'Bearer a-toke',
      'Bearer a-token x',
      'Basic a-token',
      'a-token',
      'Bearer A-TOKEN',
    ]) {
      assert.equal(await status('/metrics', wrong), 401, wrong);
    }
    assert.deepEqual([await status('/healthz'), await status('/readyz')], [200, 200]);
    await closed.close();
  });

  test('reads no body, and no more headers than a few kilobytes', async () => {
    const answered = async (request: string): Promise<string> => {
      const socket = connect(server.port, '127.0.0.1');
      socket.on('error', () => {});
      const chunks: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => chunks.push(chunk));
      socket.write(request);
      // The server ends it though the request goes on.
      await once(socket, 'close');
      return Buffer.concat(chunks).toString();
    };
    const post = 'POST /readyz HTTP/1.1\r\nhost: x\r\n';
    assert.match(await answered(`${post}content-length: 1000000000\r\n\r\nabc`), /^HTTP\/1\.1 405 /);
    assert.match(await answered(`${post}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n`), /^HTTP\/1\.1 405 /);
    const get = 'GET /readyz HTTP/1.1\r\nhost: x\r\n';
    assert.match(await answered(`${get}content-length: 5\r\n\r\n`), /^HTTP\/1\.1 (200|503) /);
    assert.match(await answered(`${get}x: ${'y'.repeat(10_000)}\r\n\r\n`), /^HTTP\/1\.1 431 /);
    assert.match(await answered(`GET /${'y'.repeat(10_000)} HTTP/1.1\r\nhost: x\r\n\r\n`), /^HTTP\/1\.1 431 /);
  });

  test('closes with a connection open that never asked', async () => {
    const other = await serveHttp({ host: '127.0.0.1', port: 0 }, {});
    const socket = connect(other.port, '127.0.0.1');
    await once(socket, 'connect');
    const closed = once(socket, 'close');
    await other.close();
    await closed;
  });

  test('says which address is taken', async () => {
    await assert.rejects(serveHttp({ host: '127.0.0.1', port: server.port }, {}), { code: 'EADDRINUSE' });
  });
});
