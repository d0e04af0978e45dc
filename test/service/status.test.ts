import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { suite, test } from 'node:test';
import { serveHttp } from '../../src/service/http.ts';
import { PendingAge } from '../../src/service/pending-age.ts';
import { statusPage } from '../../src/service/status-page.ts';
import { StatusRecorder, sampleIntervalS } from '../../src/service/status-recorder.ts';
import { ManualClock } from '../simulation/manual-clock.ts';

suite('status', () => {
  test('lets the page run its own script and style only, by their hashes', async () => {
    const server = await serveHttp({ host: '127.0.0.1', port: 0 }, { '/': statusPage() });
    const answer = await fetch(`http://127.0.0.1:${server.port}/`);
    const html = await answer.text();
    await server.close();
    const policy = answer.headers.get('content-security-policy') ?? '';
    assert.match(policy, /^default-src 'none'; /);
    assert.doesNotMatch(policy, /unsafe|http|\*/);
    for (const name of ['script', 'style']) {
      const texts = [...html.matchAll(new RegExp(`<${name}>(.*?)</${name}>`, 'gs'))].map(([, text = '']) => text);
      assert.equal(texts.length, 1);
      const hash = createHash('sha256').update(texts.join()).digest('base64');
      assert.ok(policy.includes(`${name}-src 'sha256-${hash}'`), name);
    }
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
  });

  test('samples again only when the sample before is done, and stops', async () => {
    const clock = new ManualClock();
    const elapsed: number[] = [];
    let done = Promise.withResolvers<void>();
    const recorder = new StatusRecorder(clock, [
      {
        sample: (elapsedS) => {
          elapsed.push(elapsedS);
          return done.promise;
        },
      },
    ]);
    recorder.start();
    clock.advance(sampleIntervalS * 1000);
    clock.advance(60_000);
    assert.deepEqual(elapsed, [sampleIntervalS]);
    done.resolve();
    await new Promise(setImmediate);
    done = Promise.withResolvers<void>();
    clock.advance(sampleIntervalS * 1000);
    assert.deepEqual(elapsed, [sampleIntervalS, 60 + sampleIntervalS]);
    recorder.stop();
    done.resolve();
    await new Promise(setImmediate);
    assert.equal(clock.pendingTimers, 0);
  });

  test('knows how long the oldest put waits, whatever becomes of the others', async () => {
    const clock = new ManualClock();
    const pending = new PendingAge(clock);
    const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const one = pending.during(first.promise);
    clock.advance(2000);
    const other = pending.during(second.promise);
    clock.advance(1000);
    assert.deepEqual([pending.count, pending.seconds], [2, 3]);
    first.reject(new Error('refused'));
    await assert.rejects(one);
    assert.deepEqual([pending.count, pending.seconds], [1, 1]);
    second.resolve();
    await other;
    assert.deepEqual([pending.count, pending.seconds], [0, 0]);
  });
});
