import assert from 'node:assert/strict';
import { after, afterEach, before, suite, test } from 'node:test';
import { type ArchiveJobsOptions, archiveFinishedJobs } from '../../src/jobs/archive-finished-jobs.ts';
import { findJob } from '../../src/jobs/job-finder.ts';
import { stayReasons } from '../../src/jobs/job-snapshot.ts';
import { queueAddress } from '../../src/jobs/queue-address.ts';
import { ArchiveSite } from './archive-site.ts';

suite('archiving the finished jobs of a queue', () => {
  let site: ArchiveSite;
  before(async () => {
    site = await ArchiveSite.start();
  });
  after(() => site.stop());
  afterEach(() => site.reset());

  function archive(queue: string, options: Partial<ArchiveJobsOptions> = {}) {
    return archiveFinishedJobs({ queue, redis: site.server.url, client: site.client, marginMs: 0, ...options });
  }

  /** Calls `disturb` between the receipt of the jobs and their removal. */
  function beforeRemoval(disturb: () => Promise<unknown>): Pick<ArchiveJobsOptions, 'client'> {
    const { client } = site;
    return {
      client: {
        put: (records, options) => client.put(records, options),
        async lookupMany(targets, options) {
          if (options?.values === false) await disturb();
          return client.lookupMany(targets, options);
        },
      },
    };
  }

  test('moves completed and failed jobs with all that belongs to them, and leaves nothing of them in Redis', async () => {
    await site.finish('whole', [
      { name: 'mail', data: { returns: { sent: true }, logs: ['one', 'two'] }, opts: { priority: 3 } },
      { name: 'mail', data: { fail: 'no such address' }, opts: { jobId: 'letter', attempts: 2 } },
    ]);
    const summary = await archive('whole');
    assert.partialDeepStrictEqual(summary, { metCount: 2, readyCount: 2, archivedCount: 2, removedCount: 2 });
    assert.deepEqual(await site.jobKeys('whole'), []);
    const [finishedOn] = await site.ends('whole', 'letter');
    const failed = await site.archived(`bull:bull:whole:letter:${finishedOn}`);
    assert.partialDeepStrictEqual(failed, {
      ...{ v: 1, kind: 'bullmq-job', prefix: 'bull', queue: 'whole', id: 'letter', state: 'failed', finishedOn },
      ...{ name: 'mail', data: { fail: 'no such address' }, failedReason: 'no such address', attemptsMade: 2 },
    });
    assert.match(JSON.stringify(failed?.stacktrace), /^\["Error: no such address\\n {4}at /);
    const [completedOn] = await site.ends('whole', '1');
    assert.partialDeepStrictEqual(await site.archived(`bull:bull:whole:1:${completedOn}`), {
      ...{ state: 'completed', returnvalue: { sent: true }, logs: ['one', 'two'], priority: 3 },
      opts: { priority: 3 },
    });
  });

  test('keeps JSON as it was written, and what is none as it is', async () => {
    await site.finish('odd', [{ data: {}, opts: { jobId: 'odd' } }]);
    const data = '{"large":12345678901234567890,  "b":1,"b":2}';
    await site.redis.hset('bull:odd:odd', { data, returnvalue: '{not json', later: 'unknown' });
    await site.redis.hset('bull:odd:odd', 'progress', Buffer.from([0xff, 0x00]));
    const { removedCount } = await archive('odd');
    assert.equal(removedCount, 1);
    const [finishedOn] = await site.ends('odd', 'odd');
    const found = await site.client.lookup(`bull:bull:odd:odd:${finishedOn}`);
    const text = found?.value.toString() ?? '';
    assert.ok(text.includes(`"data":${data},`), text);
    const { raw, rawBase64 } = JSON.parse(text);
    assert.deepEqual([raw, rawBase64], [{ returnvalue: '{not json', later: 'unknown' }, { progress: '/wA=' }]);
  });

  test('leaves the newest and the young ones', async () => {
    await site.finish(
      'bounds',
      Array.from({ length: 30 }, () => ({ data: {} })),
    );
    assert.partialDeepStrictEqual(await archive('bounds', { olderThanMs: 3_600_000 }), { metCount: 0 });
    const newest = await site.redis.zrevrange('bull:bounds:completed', 0, 11);
    const summary = await archive('bounds', { keepCount: 12, pageCount: 5 });
    assert.partialDeepStrictEqual(summary, { metCount: 18, removedCount: 18 });
    assert.deepEqual(await site.redis.zrevrange('bull:bounds:completed', 0, -1), newest);
  });

  test('takes only the states that it is told', async () => {
    await site.finish('states', [{ data: { fail: 'no' } }, { data: {} }]);
    assert.partialDeepStrictEqual(await archive('states', { states: ['failed'] }), { removedCount: 1 });
    assert.equal(await site.redis.zcard('bull:states:completed'), 1);
  });

  test('meets every job of a page-wide moment once', async () => {
    await site.finish(
      'moment',
      Array.from({ length: 25 }, () => ({ data: {} })),
    );
    for (const id of await site.redis.zrevrange('bull:moment:completed', 0, -1))
      await site.redis.zadd('bull:moment:completed', '1700000000000', id);
    const dry = await archive('moment', { pageCount: 4, dryRun: true });
    assert.partialDeepStrictEqual(dry, { metCount: 25, readyCount: 25, archivedCount: 0, removedCount: 0 });
    assert.equal(await site.redis.zcard('bull:moment:completed'), 25);
    assert.partialDeepStrictEqual(await archive('moment', { pageCount: 4 }), { metCount: 25, removedCount: 25 });
  });

  const disturbances: readonly [string, string, (queue: string) => Promise<unknown>, RegExp][] = [
    [
      'was retried',
      'gone',
      async (queue) => (await site.queue(queue).getJob('j'))?.retry('completed'),
      /^bull:retried/,
    ],
    ['was removed', 'gone', async (queue) => (await site.queue(queue).getJob('j'))?.remove(), /^$/],
    [
      'got other data of the same length',
      'changed',
      (queue) => site.redis.hset(`bull:${queue}:j`, 'data', '{"fail":1}'),
      /./,
    ],
    ['got a line in its log', 'changed', (queue) => site.redis.rpush(`bull:${queue}:j:logs`, 'late'), /./],
    ['was added and finished again', 'changed', (queue) => site.redis.zadd(`bull:${queue}:completed`, '17', 'j'), /./],
    ['is held by a worker', 'locked', (queue) => site.redis.set(`bull:${queue}:j:lock`, 'token'), /./],
  ];
  for (const [what, reason, disturb] of disturbances) {
    test(`leaves a job alone that ${what} after it was archived`, async () => {
      const queue = `left-${reason}-${what.length}`;
      await site.finish(queue, [{ data: {}, opts: { jobId: 'j' } }]);
      const summary = await archive(
        queue,
        beforeRemoval(() => disturb(queue)),
      );
      assert.partialDeepStrictEqual(summary, { archivedCount: 1, removedCount: 0, stays: { [reason]: 1 } });
      assert.equal(await site.redis.exists(`bull:${queue}:j`), what === 'was removed' ? 0 : 1);
    });
  }

  test('removes nothing that the archive does not give back', async () => {
    await site.finish('unsure', [{ data: {} }]);
    const problems: string[] = [];
    const { client } = site;
    const forgetful: ArchiveJobsOptions['client'] = {
      put: (records, options) => client.put(records, options),
      lookupMany: async (targets, options) =>
        (await client.lookupMany(targets, options)).map((answer) =>
          options?.values === false ? { outcome: 'missing' as const } : answer,
        ),
    };
    const onProblem: ArchiveJobsOptions['onProblem'] = (problem) => problems.push(problem.kind);
    const summary = await archive('unsure', { client: forgetful, onProblem });
    assert.partialDeepStrictEqual(summary, { removedCount: 0, stays: { unconfirmed: 1 } });
    assert.deepEqual(problems, ['job']);
    assert.equal(await site.redis.zcard('bull:unsure:completed'), 1);
  });

  test('leaves flows together until they have ended, then takes parents and children', async () => {
    const child = (name: string) => ({ name, queueName: 'flow', data: {}, opts: { jobId: name } });
    await site.flows().add({ ...child('parent'), children: [child('first'), child('second')] });
    const worker = site.worker('flow', async (job) => {
      if (job.name !== 'first') await held;
      return job.name;
    });
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
    await new Promise((resolve) => worker.once('completed', resolve));
    assert.partialDeepStrictEqual(await archive('flow'), { archivedCount: 0, stays: { flow: 1 } });
    const ended = new Promise<void>((resolve) => {
      worker.on('completed', (job) => {
        if (job.name === 'parent') resolve();
      });
    });
    letGo();
    await ended;
    assert.partialDeepStrictEqual(await archive('flow'), { removedCount: 3 });
    assert.deepEqual(await site.jobKeys('flow'), []);
    const [finishedOn] = await site.ends('flow', 'parent');
    assert.partialDeepStrictEqual(await site.archived(`bull:bull:flow:parent:${finishedOn}`), {
      children: { processed: { 'bull:flow:first': 'first', 'bull:flow:second': 'second' } },
    });
  });

  test('keeps a parent that failed early until its last child has ended', async () => {
    const child = { data: {}, name: 'child' };
    await site.flows().add({
      ...{ name: 'parent', queueName: 'early', data: {}, opts: { jobId: 'parent' } },
      children: [
        { ...child, queueName: 'early', data: { fail: 'no' }, opts: { jobId: 'bad', failParentOnFailure: true } },
        { ...child, queueName: 'slow', opts: { jobId: 'late' } },
      ],
    });
    // The child, and then the parent because of it.
    await site.drain('early', 2);
    assert.partialDeepStrictEqual(await archive('early'), { removedCount: 1, stays: { flow: 1 } });
    assert.deepEqual(await site.redis.zrange('bull:early:failed', '0', '-1'), ['parent']);
    await site.drain('slow', 1);
    assert.partialDeepStrictEqual(await archive('slow'), { removedCount: 1 });
    assert.partialDeepStrictEqual(await archive('early'), { removedCount: 1 });
    assert.deepEqual([...(await site.jobKeys('early')), ...(await site.jobKeys('slow'))], []);
  });

  test('a child that ended without its parent hearing of it leaves no trace in a parent that has ended', async () => {
    const opts = { jobId: 'p' };
    const child = { name: 'c', queueName: 'deaf', data: {}, opts: { jobId: 'c' } };
    await site.flows().add({ name: 'p', queueName: 'deaf', data: {}, opts, children: [child] });
    await site.drain('deaf', 2);
    await site.redis.sadd('bull:deaf:p:dependencies', 'bull:deaf:c');
    assert.partialDeepStrictEqual(await archive('deaf'), { removedCount: 1, stays: { flow: 1 } });
    assert.partialDeepStrictEqual(await archive('deaf'), { removedCount: 1 });
    assert.deepEqual(await site.jobKeys('deaf'), []);
  });

  test('takes what a scheduler has made, and leaves the scheduler and its next job', async () => {
    const queue = site.queue('scheduled');
    await queue.upsertJobScheduler('every', { every: 3_600_000 }, { name: 'tick', data: {} });
    await site.drain('scheduled', 1);
    assert.partialDeepStrictEqual(await archive('scheduled'), { removedCount: 1 });
    assert.equal((await queue.getJobSchedulers()).length, 1);
    assert.equal((await queue.getDelayed()).length, 1);
  });

  test('leaves a job that its scheduler still counts on', async () => {
    await site.finish('counted', [{ data: {}, opts: { jobId: 'repeat:s:5' } }]);
    await site.redis.hset('bull:counted:repeat:s:5', 'rjk', 's');
    await site.redis.zadd('bull:counted:repeat', 5, 's');
    assert.partialDeepStrictEqual(await archive('counted'), { removedCount: 0, stays: { scheduled: 1 } });
  });

  test('leaves a throttle in force and frees a deduplication that would hold for ever', async () => {
    await site.finish('single', [
      { data: {}, opts: { jobId: 'a', deduplication: { id: 'throttled', ttl: 3_600_000 } } },
      { data: {}, opts: { jobId: 'b', deduplication: { id: 'stale' } } },
    ]);
    await site.redis.set('bull:single:de:stale', 'b');
    assert.partialDeepStrictEqual(await archive('single'), { removedCount: 2 });
    assert.deepEqual(await site.jobKeys('single'), ['bull:single:de:throttled']);
  });

  test('archives a job that is larger than a value in parts, and leaves one alone that is larger than it takes', async () => {
    const large = 'x'.repeat(3_000_000);
    await site.finish('large', [{ data: { returns: large }, opts: { jobId: 'large' } }]);
    const found: string[] = [];
    const onProblem: ArchiveJobsOptions['onProblem'] = (problem) => found.push('id' in problem ? problem.message : '');
    const small = await archive('large', { jobBytesMax: 1_000_000, onProblem });
    assert.partialDeepStrictEqual(small, { archivedCount: 0, stays: { 'too-large': 1 } });
    assert.match(found[0] ?? '', /^60000\d\d bytes, a job has at most 1000000 \(jobBytesMax\)$/);
    assert.partialDeepStrictEqual(await archive('large'), { archivedCount: 1, removedCount: 1 });
    const [finishedOn] = await site.ends('large', 'large');
    const { partCount, size } = (await site.archived(`bull:bull:large:large:${finishedOn}`)) ?? {};
    const parts = Array.from(
      { length: Number(partCount) },
      (_, n) => `bull:bull:large:large:${finishedOn}:part-${n + 1}`,
    );
    const values = await Promise.all(
      parts.map(async (key) => (await site.client.lookup(key))?.value ?? Buffer.alloc(0)),
    );
    const document = Buffer.concat(values);
    assert.equal(document.length, size);
    assert.equal(JSON.parse(document.toString()).returnvalue, large);
  });

  test('counts the bytes of logs, and of what children left, when it tells how large a job is', async () => {
    const line = 'x'.repeat(400_000);
    await site.finish('talk', [{ data: { logs: [line, line, line] }, opts: { jobId: 'talk' } }]);
    await site.redis.hset('bull:talk:talk', 'data', '{}');
    const stays = { 'too-large': 1 };
    assert.partialDeepStrictEqual(await archive('talk', { jobBytesMax: 1_000_000 }), { archivedCount: 0, stays });
    await site.redis.del('bull:talk:talk:logs');
    await site.redis.hset('bull:talk:talk:processed', {
      'bull:child:1': line,
      'bull:child:2': line,
      'bull:child:3': line,
    });
    assert.partialDeepStrictEqual(await archive('talk', { jobBytesMax: 1_000_000 }), { archivedCount: 0, stays });
    assert.partialDeepStrictEqual(await archive('talk'), { archivedCount: 1, removedCount: 1 });
  });

  test('finds again what ended between two milliseconds, and leaves alone what ended at no time', async () => {
    await site.redis.hset('bull:times:half', { name: 'n', data: '{}', opts: '{}' });
    await site.redis.zadd('bull:times:completed', '1700000000000.5', 'half');
    assert.partialDeepStrictEqual(await archive('times'), { removedCount: 1 });
    const found = await findJob(site.client, queueAddress('times'), 'half');
    assert.equal(found?.end.finishedOn, 1_700_000_000_000.5);
    await site.redis.hset('bull:times:never', { name: 'n', data: '{}', opts: '{}' });
    await site.redis.zadd('bull:times:completed', '-inf', 'never');
    assert.partialDeepStrictEqual(await archive('times'), { archivedCount: 0, stays: { refused: 1 } });
  });

  test('keeps an id whole that is too long for a key', async () => {
    const id = 'long/'.repeat(400);
    await site.finish('ids', [{ data: {}, opts: { jobId: id } }]);
    assert.partialDeepStrictEqual(await archive('ids'), { archivedCount: 1, removedCount: 1 });
  });

  test('an id that was used again has an index of all its ends, the newest first', async () => {
    for (const returns of ['first', 'second']) {
      await site.finish('again', [{ data: { returns }, opts: { jobId: 'daily' } }]);
      await archive('again');
    }
    const times = await site.ends('again', 'daily');
    assert.equal(times.length, 2);
    const values = await Promise.all(times.map((time) => site.archived(`bull:bull:again:daily:${time}`)));
    assert.deepEqual(
      values.map((value) => value?.returnvalue),
      ['second', 'first'],
    );
  });

  test('archives again what was archived and not removed, and stores nothing twice', async () => {
    await site.finish(
      'twice',
      Array.from({ length: 10 }, () => ({ data: {} })),
    );
    const interrupt = new AbortController();
    const first = await archive('twice', { marginMs: 60_000, signal: interrupt.signal, onProgress });
    function onProgress({ archivedCount }: { archivedCount: number }): void {
      if (archivedCount === 10) interrupt.abort();
    }
    assert.partialDeepStrictEqual(first, { archivedCount: 10, removedCount: 0 });
    const second = await archive('twice');
    assert.partialDeepStrictEqual(second, { archivedCount: 0, unchangedCount: 10, removedCount: 10 });
  });

  test('removes a job no sooner than the margin after its receipt', async () => {
    await site.finish('margin', [{ data: {} }]);
    const times: number[] = [];
    const onProgress: ArchiveJobsOptions['onProgress'] = ({ archivedCount, removedCount }) => {
      times[archivedCount + removedCount] = performance.now();
    };
    await archive('margin', { marginMs: 300, onProgress });
    assert.ok((times[2] ?? 0) - (times[1] ?? 0) >= 299, `${times}`);
  });

  test('keeps to its rate', async () => {
    await site.finish(
      'rate',
      Array.from({ length: 30 }, () => ({ data: {} })),
    );
    const startMs = performance.now();
    await archive('rate', { jobsPerSecondMax: 50, pageCount: 10 });
    assert.ok(performance.now() - startMs >= 390);
  });

  test('refuses a queue that another archiver works on, and gives it back at its end', async () => {
    await site.finish('busy', [{ data: {} }]);
    await site.redis.set('bull:busy:permafrost-archiver', 'another', 'PX', 60_000);
    await assert.rejects(archive('busy'), { code: 'queue-busy', retriable: true });
    await site.redis.del('bull:busy:permafrost-archiver');
    assert.partialDeepStrictEqual(await archive('busy'), { removedCount: 1 });
    assert.equal(await site.redis.exists('bull:busy:permafrost-archiver'), 0);
  });

  test('waits for the lease of an archiver that was killed', async () => {
    await site.finish('dead', [{ data: {} }]);
    await site.redis.set('bull:dead:permafrost-archiver', 'another', 'PX', 300);
    assert.partialDeepStrictEqual(await archive('dead', { busyWaitMs: 60_000 }), { removedCount: 1 });
  });

  test('removes nothing after another archiver took the queue over', async () => {
    await site.finish('taken', [{ data: {} }]);
    const taken = beforeRemoval(() => site.redis.set('bull:taken:permafrost-archiver', 'another', 'PX', 60_000));
    await assert.rejects(archive('taken', taken), { code: 'queue-lost' });
    assert.equal(await site.redis.zcard('bull:taken:completed'), 1);
  });

  test('watches until its signal, over a pass that fails', async () => {
    await site.finish('watched', [{ data: {} }]);
    const end = new AbortController();
    const problems: unknown[] = [];
    await site.redis.set('bull:watched:permafrost-archiver', 'another', 'PX', 60_000);
    const summary = await archive('watched', {
      watchIntervalMs: 5,
      signal: end.signal,
      onProblem: (problem) => {
        problems.push(problem.kind);
        void site.redis.del('bull:watched:permafrost-archiver');
      },
      onProgress: ({ removedCount }) => {
        if (removedCount === 1) end.abort();
      },
    });
    assert.equal(problems[0], 'pass');
    assert.partialDeepStrictEqual(summary, { removedCount: 1, passCount: 1 });
  });

  test('works on queues of any prefix, and takes a queue object for its name', async () => {
    const queue = site.queue('object', 'bull:mine');
    const job = await queue.add('x', {});
    await site.redis
      .multi()
      .lrem('bull:mine:object:wait', 0, job.id ?? '')
      .zadd('bull:mine:object:failed', 7, job.id ?? '')
      .exec();
    assert.partialDeepStrictEqual(
      await archiveFinishedJobs({ queue, redis: site.server.url, client: site.client, marginMs: 0 }),
      {
        removedCount: 1,
      },
    );
    assert.equal((await site.archived('bull:bull%3Amine:object:1:7'))?.name, 'x');
  });

  test('goes on when Redis has forgotten its scripts', async () => {
    await site.finish('scripts', [{ data: {} }]);
    await site.redis.script('FLUSH');
    assert.partialDeepStrictEqual(
      await archive(
        'scripts',
        beforeRemoval(() => site.redis.script('FLUSH')),
      ),
      { removedCount: 1 },
    );
  });

  const wrong: readonly [string, Partial<ArchiveJobsOptions>][] = [
    ['no queue', { queue: [] }],
    ['a queue with a colon', { queue: 'a:b' }],
    ['no state', { states: [] }],
    ['half a job a second', { jobsPerSecondMax: 0.5 }],
    ['no job a second', { jobsPerSecondMax: 0 }],
    ['no time between two passes', { watchIntervalMs: 0 }],
    ['no client', { client: undefined }],
    ['a negative age', { olderThanMs: -1 }],
  ];
  for (const [what, options] of wrong) {
    test(`refuses ${what}`, async () => {
      await assert.rejects(archive('any', options), { code: 'invalid-options' });
    });
  }

  test('names every reason that a job may stay for', async () => {
    const { stays } = await archive('nobody');
    assert.deepEqual(Object.keys(stays), [...stayReasons]);
  });
});
