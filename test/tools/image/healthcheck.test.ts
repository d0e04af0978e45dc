import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../../tools/image/healthcheck.mjs', import.meta.url));

interface Answer {
  readonly status: number | null;
  readonly output: string;
}

function ask(port: number): Promise<Answer> {
  const env = { ...process.env, PERMAFROST_HTTP_PORT: String(port) };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [program], { env }, (_, output) => {
      resolve({ status: child.exitCode, output });
    });
  });
}

test('a worker that answers /healthz is healthy, one that says no or nothing is not', async () => {
  let status = 200;
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/healthz' ? status : 404).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  try {
    assert.deepEqual(await ask(address.port), { status: 0, output: '/healthz answers 200\n' });
    status = 503;
    assert.deepEqual(await ask(address.port), { status: 1, output: '/healthz answers 503\n' });
  } finally {
    server.close();
    await once(server, 'close');
  }
  const { status: ended, output } = await ask(address.port);
  assert.equal(ended, 1);
  assert.match(output, /^\/healthz does not answer: /);
});
