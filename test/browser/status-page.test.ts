import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, suite, test } from 'node:test';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { loadConfig } from '../../src/service/config.ts';
import { createLogger } from '../../src/service/log.ts';
import { type Service, startService } from '../../src/service/service.ts';
import { sampleIntervalS } from '../../src/service/status-recorder.ts';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';
import { Producer } from '../service/producer.ts';
import { BrowserPage, findChromium } from './chromium.ts';

const program = findChromium();
const skip = program === undefined ? 'no Chromium on PATH' : false;
const logger = createLogger('silent', {});

/** Where pictures go, for whoever wants to look at the page. */
const pictures = process.env.STATUS_PAGE_PICTURES;

/** Samples come fast; all else takes its time. */
const hastyClock: Clock = {
  ...systemClock,
  after: (delayMs, fire) => systemClock.after(delayMs === sampleIntervalS * 1000 ? 50 : delayMs, fire),
};

suite('status page', { skip }, () => {
  let redis: RedisServer;
  let directory: string;
  let page: BrowserPage;
  let producer: Producer;
  let service: Service | undefined;

  before(async () => {
    redis = await startRedis();
  });
  after(() => redis.stop());
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'permafrost-status-'));
    page = await BrowserPage.start(program ?? '');
    producer = new Producer(redis.url, 'main');
  });
  afterEach(async () => {
    await service?.stop();
    await page[Symbol.asyncDispose]();
    await producer.redis.flushall();
    await producer.close();
    await rm(directory, { recursive: true });
  });

  async function serve(flags: Readonly<Record<string, string>> = {}): Promise<string> {
    const small = { 'engine-table-initial-size': '64', 'disk-pause-below-bytes': '0' };
    const own = { 'redis-url': redis.url, 'data-dir': directory, 'http-port': '0' };
    service = await startService(loadConfig({ flags: { ...own, ...small, ...flags } }), { logger, clock: hastyClock });
    return `http://127.0.0.1:${service.http.port}/`;
  }

  async function photograph(name: string): Promise<void> {
    if (pictures === undefined) return;
    for (const scheme of ['light', 'dark'] as const) {
      await page.prefer(scheme);
      await page.photograph(join(pictures, `${name}-${scheme}.png`));
    }
  }

  test('shows each shard, its state, its epoch and what it did, and neither keys nor values', async () => {
    const url = await serve({ shards: '0-1', 'sync-interval-ms': '20' });
    await producer.put('planted-id', { 'planted-key': 'planted-value', other: 'x' });
    await producer.receipts(new Set(['planted-id']));
    await producer.read(['planted-key', 'planted-missing']);
    await page.open(url);
    // The page looks again by itself.
    await page.until(`document.querySelectorAll('#shard-0 path.line').length > 0
      && /Epoch\\s*[1-9]/.test(document.querySelector('#shard-0').innerText)`);
    const text = await page.text();
    assert.match(text, /archive main/);
    assert.match(text, /✓ ready/);
    assert.match(text, /Shard 0\s+✓ open\s.*Records\s+2\s.*Epoch\s+[1-9].*Last checkpoint\s+.* ago/s);
    assert.match(text, /Shard 1\s+✓ open\s/);
    assert.match(text, /Redis\s+answers/);
    const labels = await page.evaluate("[...document.querySelectorAll('svg')].map((svg) => svg.ariaLabel).join('\\n')");
    assert.match(String(labels), /^Records put a second over 10 min: now [\d.]+; highest [\d.]+$/m);
    assert.match(String(labels), /^Put until durable over 10 min: now median .* highest \d+(\.\d+)? m?s$/m);
    const html = String(await page.evaluate('document.documentElement.outerHTML'));
    const data = await (await fetch(`${url}status.json`)).text();
    for (const all of [html, data]) assert.doesNotMatch(all, /planted/);
    assert.deepEqual(page.errors, []);
    await photograph('shards');
  });

  test('tells in words what is wrong, and that it cannot know when the worker is gone', async () => {
    const url = await serve({
      'disk-pause-below-bytes': '1000000000000000',
      'disk-resume-above-bytes': '1000000000000000',
    });
    await page.open(url);
    await page.until("document.querySelector('#verdict').textContent.includes('ready, with warnings')");
    const text = await page.text();
    assert.match(text, /Shard 0: Puts wait: the disk is nearly full\. Lookups go on\./);
    assert.match(text, /! open, puts paused/);
    assert.match(text, /Disk: low/);
    assert.deepEqual(page.errors, []);
    await photograph('low-disk');
    await service?.stop();
    await page.evaluate('look()');
    assert.match(await page.text(), /✕ no answer.*The worker does not answer/s);
  });

  test('asks for the token, keeps it out of its address, and shows nothing without it', async () => {
    const url = await serve({ 'http-token': 'open-sesame' });
    await page.open(url);
    await page.until("!document.querySelector('#ask').hidden");
    assert.doesNotMatch(await page.text(), /archive main|Shard 0/);
    const enter = (token: string): Promise<unknown> =>
      page.evaluate(
        `document.querySelector('#token').value = '${token}'; document.querySelector('#ask').requestSubmit()`,
      );
    await enter('wrong');
    await page.until("document.querySelector('#verdict').textContent.includes('wrong token')");
    await enter('open-sesame');
    await page.until("document.querySelector('#shard-0') !== null");
    assert.equal(await page.evaluate('location.href'), url);
    assert.equal(await page.evaluate("document.querySelector('#ask').hidden"), true);
  });

  test('runs no script but its own', async () => {
    const url = await serve();
    await page.open(url);
    await page.evaluate(
      `document.body.append(Object.assign(document.createElement('script'), { textContent: 'globalThis.planted = 1' }))`,
    );
    assert.equal(await page.evaluate('typeof globalThis.planted'), 'undefined');
    assert.match(page.errors.join(), /Content Security Policy/);
  });
});
