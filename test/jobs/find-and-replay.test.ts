import assert from 'node:assert/strict';
import { after, afterEach, before, suite, test } from 'node:test';
import { archiveFinishedJobs } from '../../src/jobs/archive-finished-jobs.ts';
import { newestKey, recordKey } from '../../src/jobs/archive-key.ts';
import { endsOfJob, type FoundJob, findJob } from '../../src/jobs/job-finder.ts';
import { queueAddress } from '../../src/jobs/queue-address.ts';
import { type ReplayOptions, replayJob } from '../../src/jobs/replay-job.ts';
import { ArchiveSite } from './archive-site.ts';

suite('finding and replaying archived jobs', () => {
  let site: ArchiveSite;
  before(async () => {
    site = await ArchiveSite.start();
  });
  after(() => site.stop());
  afterEach(() => site.reset());

  /** Finishes one job, archives it, and finds it. */
  async function archived(queue: string, data: object, opts: object = {}): Promise<FoundJob> {
    await site.finish(queue, [{ data, opts: { jobId: 'j', ...opts } }]);
    await archiveFinishedJobs({ queue, redis: site.server.url, client: site.client, marginMs: 0 });
    return found(queue);
  }

  async function found(queue: string, id = 'j'): Promise<FoundJob> {
    const job = await findJob(site.client, queueAddress(queue), id);
    assert.ok(job !== undefined);
    return job;
  }

  function replay(job: FoundJob, options: ReplayOptions = {}) {
    return replayJob(job, site.server.url, site.client, options);
  }

  test('finds the newest end of a job, any older one by its time, and nothing of others', async () => {
    await archived('ends', { returns: 1 });
    const job = await archived('ends', { returns: 2 });
    const ends = await endsOfJob(site.client, queueAddress('ends'), 'j');
    assert.deepEqual(ends.length, 2);
    assert.deepEqual([job.members.returnvalue, job.state, job.end.finishedOn], [2, 'completed', ends[0]]);
    const older = await findJob(site.client, queueAddress('ends'), 'j', { finishedOn: ends[1] });
    assert.equal(older?.members.returnvalue, 1);
    assert.equal(await findJob(site.client, queueAddress('ends'), 'k'), undefined);
    assert.equal(await findJob(site.client, queueAddress('ends'), 'j', { finishedOn: 1 }), undefined);
  });

  test('puts a job together that was archived in parts, and says when a part is not there', async () => {
    const returns = 'y'.repeat(2_500_000);
    const job = await archived('parts', { returns });
    assert.equal(job.members.returnvalue, returns);
    const { client } = site;
    const hole: Parameters<typeof findJob>[0] = {
      lookup: (target, options) => client.lookup(target, options),
      lookupMany: async (targets, options) => [
        { outcome: 'missing' },
        ...(await client.lookupMany(targets.slice(1), options)),
      ],
    };
    await assert.rejects(findJob(hole, queueAddress('parts'), 'j'), { code: 'damaged-record', message: /part 1 of/ });
  });

  test('passes over an index that came to disk without its record', async () => {
    const address = queueAddress('early');
    const { end } = await archived('early', {});
    const times = [end.finishedOn + 1000, end.finishedOn];
    const value = JSON.stringify({ v: 1, kind: 'bullmq-job-index', ...address, id: 'j', finishedOn: times });
    await site.client.put({ key: newestKey(address, 'j'), value });
    assert.equal((await found('early')).end.finishedOn, end.finishedOn);
  });

  for (const value of [
    'no JSON',
    '[]',
    '{"v":2}',
    '{"v":1,"kind":"bullmq-job","prefix":"bull","queue":"other","id":"j"}',
  ]) {
    test(`calls a record damaged that is ${value}`, async () => {
      const address = queueAddress('damaged');
      await site.client.put({ key: recordKey(address, 'j', 5), value });
      await assert.rejects(findJob(site.client, address, 'j', { finishedOn: 5 }), { code: 'damaged-record' });
      await site.client.put({ key: newestKey(address, 'j'), value });
      await assert.rejects(endsOfJob(site.client, address, 'j'), { code: 'damaged-record' });
    });
  }

  test('replays name, data and options, says where it came from, and does so once', async () => {
    const job = await archived('replay', { returns: 'x', n: [1] }, { attempts: 3, priority: 7, delay: 1, keepLogs: 5 });
    const first = await replay(job);
    assert.equal(first.outcome, 'added');
    assert.deepEqual(await replay(job), { ...first, outcome: 'present' });
    const queue = site.queue('replay');
    const added = await queue.getJob(first.jobId);
    assert.deepEqual([added?.name, added?.data], ['work', { returns: 'x', n: [1] }]);
    assert.partialDeepStrictEqual(added?.opts, {
      attempts: 3,
      priority: 7,
      keepLogs: 5,
      permafrost: { replayOf: job.key },
    });
    assert.deepEqual([added?.opts.delay ?? 0, await added?.getState()], [0, 'prioritized']);
    assert.deepEqual((await queue.getJobLogs(first.jobId)).logs, [`replayed from the archive: ${job.key}`]);
    assert.equal(await queue.getJobCountByTypes('waiting', 'prioritized'), 1);
  });

  test('does not run again what has been replayed, run and archived', async () => {
    const job = await archived('done', {});
    const { jobId } = await replay(job);
    await site.drain('done', 1);
    await archiveFinishedJobs({ queue: 'done', redis: site.server.url, client: site.client, marginMs: 0 });
    assert.deepEqual(await replay(job), { outcome: 'archived', queue: 'done', jobId });
    assert.equal((await replay(job, { jobId: 'once-more' })).outcome, 'added');
  });

  test('replays into another queue', async () => {
    const job = await archived('from', { returns: 1 });
    const { queue, jobId } = await replay(job, { toQueue: 'to' });
    assert.deepEqual([queue, (await site.queue('to').getJob(jobId))?.data], ['to', { returns: 1 }]);
  });

  test('keeps the digits of numbers that JavaScript cannot hold', async () => {
    await site.finish('digits', [{ data: {}, opts: { jobId: 'j' } }]);
    const data = '{"id":12345678901234567890,"small":1.50,"float":0.1}';
    await site.redis.hset('bull:digits:j', 'data', data);
    await archiveFinishedJobs({ queue: 'digits', redis: site.server.url, client: site.client, marginMs: 0 });
    const { jobId } = await replay(await found('digits'));
    const again = await site.redis.hget(`bull:digits:${jobId}`, 'data');
    assert.equal(again, '{"id":12345678901234567890,"small":1.5,"float":0.1}');
  });

  test('says so when BullMQ takes the replay for another job', async () => {
    const job = await archived('dedup', {}, { deduplication: { id: 'one' } });
    const running = await site.queue('dedup').add('work', {}, { deduplication: { id: 'one' } });
    assert.deepEqual(await replay(job), { outcome: 'deduplicated', queue: 'dedup', jobId: running.id });
  });

  test('replays a child without its parent', async () => {
    const child = { name: 'child', queueName: 'family', data: {}, opts: { jobId: 'j', failParentOnFailure: true } };
    await site.flows().add({ name: 'parent', queueName: 'family', data: {}, children: [child] });
    await site.drain('family', 2);
    await archiveFinishedJobs({ queue: 'family', redis: site.server.url, client: site.client, marginMs: 0 });
    const { jobId, outcome } = await replay(await found('family'));
    assert.equal(outcome, 'added');
    assert.equal((await site.queue('family').getJob(jobId))?.parentKey, undefined);
  });

  test('refuses what never was a job that a worker could take, and ids that BullMQ does not take', async () => {
    await site.finish('bad', [{ data: {}, opts: { jobId: 'j' } }]);
    await site.redis.hset('bull:bad:j', 'data', '{not json');
    await archiveFinishedJobs({ queue: 'bad', redis: site.server.url, client: site.client, marginMs: 0 });
    await assert.rejects(replay(await found('bad')), { code: 'not-replayable' });
    const job = await archived('ids', {});
    await assert.rejects(replay(job, { jobId: '17' }), { code: 'not-replayable', message: /integers/ });
  });
});
