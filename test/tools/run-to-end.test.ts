import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { runToEnd } from '../../tools/run-to-end.mjs';

const module = new URL('../../tools/run-to-end.mjs', import.meta.url).href;

/** A process that does nothing but run `script` with `runToEnd` and end with its status, as the way in does. */
function wrapped(script: string) {
  const wrapper = `import { runToEnd } from '${module}';
    process.exitCode = await runToEnd(process.execPath, ['-e', ${JSON.stringify(script)}]);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', wrapper], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return { child, ended: once(child, 'close') };
}

test('the status of the program is handed on', async () => {
  assert.equal(await runToEnd(process.execPath, ['-e', '']), 0);
  assert.equal(await runToEnd(process.execPath, ['-e', 'process.exitCode = 7']), 7);
});

test('a program that a signal ended has the status that a shell gives it', async () => {
  assert.equal(await runToEnd(process.execPath, ['-e', "process.kill(process.pid, 'SIGKILL')"]), 128 + 9);
});

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  test(`${signal} reaches the program, which may take its time and has the last word`, async () => {
    const script = `process.once('${signal}', () => { console.log('bye'); process.exit(5); });
      new (require('node:net').Server)().listen(0, '127.0.0.1'); console.log('ready');`;
    const { child, ended } = wrapped(script);
    const output: string[] = [];
    child.stdout.setEncoding('utf8').on('data', (text: string) => output.push(text));
    await once(child.stdout, 'data');
    child.kill(signal);
    assert.deepEqual(await ended, [5, null]);
    assert.equal(output.join(''), 'ready\nbye\n');
  });
}

test('a program that is not there is an error that names it', async () => {
  await assert.rejects(runToEnd('/nowhere/program', []), /^Error: \/nowhere\/program could not be started: .*ENOENT/);
  assert.equal(process.listenerCount('SIGINT'), 0, 'no handler is left');
});
