import assert from 'node:assert/strict';
import { after, afterEach, before, suite, test } from 'node:test';
import { archiveFinishedJobs } from '../../src/jobs/archive-finished-jobs.ts';
import { findJob } from '../../src/jobs/job-finder.ts';
import { queueAddress } from '../../src/jobs/queue-address.ts';
import { parseArchiveName, parseClientId, putQueueName, queuePrefix, replyListKey } from '../../src/protocol/names.ts';
import { shardOf, storedKeyOf } from '../../src/protocol/record-key.ts';
import { runHere } from '../cli/run-here.ts';
import { ArchiveSite } from './archive-site.ts';

suite('an archive that has grown to several shards', () => {
  let site: ArchiveSite;
  before(async () => {
    site = await ArchiveSite.start({ grown: true });
  });
  after(() => site.stop());
  afterEach(() => site.reset());

  test('takes finished jobs, once each, and gives them back', async () => {
    const jobs = Array.from({ length: 60 }, (_, n) => ({ data: { returns: n }, opts: { jobId: `j-${n}` } }));
    await site.finish('grown', jobs);
    const options = { queue: 'grown', redis: site.server.url, client: site.client };
    const interrupt = new AbortController();
    const first = await archiveFinishedJobs({
      ...options,
      ...{ marginMs: 60_000, signal: interrupt.signal },
      onProgress: ({ archivedCount }) => {
        if (archivedCount === 60) interrupt.abort();
      },
    });
    assert.partialDeepStrictEqual(first, { archivedCount: 60, removedCount: 0 });
    const second = await archiveFinishedJobs({ ...options, marginMs: 0 });
    assert.partialDeepStrictEqual(second, { archivedCount: 0, unchangedCount: 60, removedCount: 60 });
    for (const { data, opts } of jobs) {
      const found = await findJob(site.client, queueAddress('grown'), opts.jobId);
      assert.equal(found?.members.returnvalue, data.returns);
    }
  });

  test('takes lines, and what it has already is left as it is', async () => {
    const lines = Array.from({ length: 60 }, (_, n) => JSON.stringify({ key: `line/${n}`, text: `${n}` })).join('\n');
    const run = async (input: string) =>
      JSON.parse((await runHere(['import', '-', '--json'], site.environment, input)).text);
    assert.partialDeepStrictEqual(await run(lines), { stored: 60, unchanged: 0, failed: 0 });
    const more = `${lines}\n{"key":"line/60","text":"60"}\n{"key":"line/0","text":"new"}\n`;
    assert.partialDeepStrictEqual(await run(more), { stored: 2, unchanged: 60, failed: 0 });
    assert.equal((await site.client.lookup('line/0'))?.value.toString(), 'new');
  });

  test('knows a put again that was sent before it grew, wherever the homes of its keys are now', async () => {
    const records = [1, 2].flatMap((version) =>
      Array.from({ length: 20 }, (_, n) => ({ key: `sent/${n}`, text: `${version}` })),
    );
    // As a producer sends it that knows of one shard.
    const puts = site.queue(putQueueName(parseArchiveName('main'), 0), queuePrefix);
    await puts.add('put', { v: 1, id: 'early', records, replyTo: { list: 'early' } });
    const list = replyListKey(parseArchiveName('main'), parseClientId('early'));
    assert.notEqual(await site.redis.blpop(list, 10), null);
    // One that has been there since, and one that is newer than the put.
    await site.client.put({ key: 'sent/3', value: 'newer' });
    const again = records.map(({ key, text }) => ({ key, value: text }));
    const { records: receipts } = await site.client.put(again, { id: 'early', repeat: true });
    const moved = receipts.filter(({ key }) => shardOf(storedKeyOf(key), 3) !== 0);
    assert.ok(moved.length > 0 && moved.length < receipts.length);
    for (const { key, outcome } of receipts) {
      assert.equal(outcome, 'unchanged', key);
      assert.equal((await site.client.lookup(key))?.value.toString(), key === 'sent/3' ? 'newer' : '2');
    }
    assert.deepEqual(
      receipts.map(({ key }) => key),
      records.map(({ key }) => key),
    );
  });

  test('completes a put that is sent again, of which a part was stored before it grew', async () => {
    const records = Array.from({ length: 30 }, (_, n) => ({ key: `half/${n}`, value: 'new' }));
    await site.client.put({ key: 'half/1', value: 'of another put' });
    const puts = site.queue(putQueueName(parseArchiveName('main'), 0), queuePrefix);
    const part = records.slice(0, 10).map(({ key, value }) => ({ key, text: value }));
    await puts.add('put', { v: 1, id: 'half', records: part, replyTo: { list: 'half' } });
    assert.notEqual(await site.redis.blpop(replyListKey(parseArchiveName('main'), parseClientId('half')), 10), null);
    for (const stored of [20, 0]) {
      const { records: receipts } = await site.client.put(records, { id: 'half', repeat: true });
      assert.equal(receipts.filter(({ outcome }) => outcome === 'stored').length, stored);
      assert.equal(receipts.length, 30);
    }
    const lookups = await site.client.lookupMany(records.map(({ key }) => key));
    assert.ok(lookups.every((found) => found.outcome === 'found' && found.value.toString() === 'new'));
  });
});
