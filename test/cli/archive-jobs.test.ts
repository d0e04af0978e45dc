import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, suite, test } from 'node:test';
import { ArchiveSite } from '../jobs/archive-site.ts';
import { CommandRun } from './command-run.ts';
import { runHere } from './run-here.ts';

suite('archive-jobs and jobs', () => {
  let site: ArchiveSite;
  let directory: string;
  before(async () => {
    site = await ArchiveSite.start();
    directory = await mkdtemp(join(tmpdir(), 'permafrost-cli-jobs-'));
  });
  after(async () => {
    await site.stop();
    await rm(directory, { recursive: true });
  });
  afterEach(() => site.reset());

  const run = (...words: string[]) => runHere(words, site.environment);

  test('a dry run counts and touches nothing, the real one moves, and jobs finds, shows and replays', async () => {
    await site.finish('mail', [
      { name: 'letter', data: { returns: 'sent' }, opts: { jobId: 'a' } },
      { name: 'letter', data: { fail: 'no address' }, opts: { jobId: 'b' } },
    ]);
    const dry = await run('archive-jobs', '--queue', 'mail', '--dry-run');
    assert.equal(dry.status, 0, dry.notes);
    assert.match(dry.text, /^2 met, 2 would be archived and removed, about [\d.]+ \w+\n$/);
    assert.equal(await site.redis.exists('bull:mail:a', 'bull:mail:b'), 2);

    const real = await run('archive-jobs', '--queue', 'mail', '--queue', 'other', '--margin', '0');
    assert.equal(real.status, 0, real.notes);
    assert.match(real.text, /^2 archived \([\d.]+ KiB\), 2 removed from Redis\n$/);
    assert.deepEqual(await site.jobKeys('mail'), []);

    const found = await run('jobs', 'find', '--queue', 'mail', '--id', 'b');
    assert.match(
      found.text,
      /^Job {5}b of mail, failed 20\d\d-.*\nName {4}letter\nReason {2}no address\nRecord {2}bull:bull:mail:b:\d+, /,
    );
    const shown = JSON.parse((await run('jobs', 'show', '--queue', 'mail', '--id', 'a')).text);
    assert.partialDeepStrictEqual(shown, {
      id: 'a',
      state: 'completed',
      returnvalue: 'sent',
      data: { returns: 'sent' },
    });
    const { ends, key } = JSON.parse((await run('jobs', 'find', '--queue', 'mail', '--id', 'a', '--json')).text);
    assert.deepEqual([ends, key], [[shown.finishedOn], `bull:bull:mail:a:${shown.finishedOn}`]);
    assert.equal((await run('get', key, '--json')).status, 0);

    const first = await run('jobs', 'replay', '--queue', 'mail', '--id', 'b');
    assert.match(`${first.status} ${first.text}`, /^0 added to mail as replay-[0-9a-f]{32}\n$/);
    const second = await run('jobs', 'replay', '--queue', 'mail', '--id', 'b', '--json');
    assert.partialDeepStrictEqual([second.status, JSON.parse(second.text)], [1, { outcome: 'present', queue: 'mail' }]);
    assert.equal(await site.redis.llen('bull:mail:wait'), 1);
  });

  test('a job that is not in the archive ends find, show and replay with 1', async () => {
    for (const action of ['find', 'show', 'replay']) {
      const { status, text, notes } = await run('jobs', action, '--queue', 'nobody', '--id', '1');
      assert.deepEqual([status, text, notes], [1, '', 'permafrost jobs: the archive has no such job\n']);
    }
  });

  test('age, number and states bound what leaves, and JSON tells machines', async () => {
    await site.finish(
      'bounds',
      Array.from({ length: 12 }, () => ({ data: {} })),
    );
    const words = ['archive-jobs', '--queue', 'bounds', '--margin', '0', '--json'];
    const young = await run(...words, '--older-than', '1h');
    assert.partialDeepStrictEqual(JSON.parse(young.text), { metCount: 0, removedCount: 0 });
    const failed = await run(...words, '--states', 'failed');
    assert.partialDeepStrictEqual(JSON.parse(failed.text), { metCount: 0 });
    const kept = await run(...words, '--keep', '5');
    assert.partialDeepStrictEqual(JSON.parse(kept.text), { removedCount: 7, stays: { gone: 0 } });
    assert.equal(await site.redis.zcard('bull:bounds:completed'), 5);
  });

  test('a watch archives what finishes later, and ends well at Ctrl-C', async () => {
    await site.finish('watched', [{ data: {} }]);
    const words = ['archive-jobs', '--queue', 'watched', '--watch', '--interval', '10ms', '--margin', '0'];
    const watch = new CommandRun(words, site.environment);
    const emptied = async (): Promise<void> => {
      while ((await site.redis.zcard('bull:watched:completed')) > 0);
    };
    await emptied();
    await site.finish('watched', [{ data: {} }]);
    await emptied();
    const { status, text, notes } = await watch.stop('SIGINT');
    assert.equal(status, 0, notes);
    assert.match(text, /^2 archived .* 2 removed from Redis\n$/);
  });

  test('Ctrl-C in the margin leaves the jobs in Redis, and says so', async () => {
    await site.finish('margin', [{ data: {}, opts: { jobId: 'm' } }]);
    const command = new CommandRun(['archive-jobs', '--queue', 'margin', '--margin', '1h'], site.environment);
    while ((await site.client.lookup('bull:bull:margin:m:newest')) === undefined);
    const { status, notes } = await command.stop('SIGINT');
    assert.equal(status, 130);
    assert.match(notes, /interrupted; [01] jobs are on disk and still in Redis: run it again to go on/);
    assert.equal(await site.redis.zcard('bull:margin:completed'), 1);
  });

  test('the queue may live in another Redis, whose URL may lie in a file', async () => {
    await site.finish('elsewhere', [{ data: {} }]);
    const file = join(directory, 'url');
    await writeFile(file, `${site.server.url}/0\n`);
    const words = ['archive-jobs', '--queue', 'elsewhere', '--margin', '0', '--json'];
    const wrong = await run(...words, '--queue-redis', `${site.server.url}/1`);
    assert.partialDeepStrictEqual(JSON.parse(wrong.text), { metCount: 0 });
    const right = await run(...words, '--queue-redis', `@${file}`);
    assert.partialDeepStrictEqual(JSON.parse(right.text), { removedCount: 1 }, right.notes);
  });

  const refused: readonly [string[], RegExp][] = [
    [['archive-jobs'], /--queue is missing/],
    [
      ['archive-jobs', '--queue', 'a', '--older-than', 'soon'],
      /--older-than must be a time such as 90s, 15m, 1h or 7d/,
    ],
    [['archive-jobs', '--queue', 'a', '--states', 'active'], /--states must be one of completed, failed/],
    [['archive-jobs', '--queue', 'a', '--queue-redis', 'http://secret@x'], /--queue-redis must be redis:/],
    [['jobs', 'forget', '--queue', 'a', '--id', '1'], /the action is one of find, show, replay/],
    [['jobs', 'find', '--queue', 'a'], /--id is missing/],
  ];
  for (const [words, reason] of refused) {
    test(`permafrost ${words.join(' ')} is refused`, async () => {
      const { status, notes } = await run(...words);
      assert.equal(status, 2);
      assert.match(notes, reason);
      assert.doesNotMatch(notes, /secret/);
    });
  }
});
