import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { RoundEnd } from '../../crashlab/round-end.ts';
import { RoundThread, ThisThread } from '../../crashlab/round-place.ts';
import { noWork } from '../../crashlab/work.ts';
import { experiment, oneCase, untilStopped } from './fake-experiments.ts';

let thread: RoundThread;

beforeEach(() => {
  thread = new RoundThread(new URL('./fake-experiments.ts', import.meta.url));
});
afterEach(() => thread.close());

function run(name: string, options: { readonly signal?: AbortSignal; readonly path?: string } = {}): Promise<RoundEnd> {
  const { path, signal = new AbortController().signal } = options;
  return thread.run(experiment(name), { seed: 11, directory: '', signal, ...(path !== undefined && { path }) });
}

describe('a thread of rounds', () => {
  test('finds the experiment by its name, gives it the round and brings back its work', async () => {
    for (let count = 0; count < 2; count++) {
      assert.deepEqual(await run('counts'), { kind: 'whole', work: { ...noWork, cases: 11 } });
    }
  });

  test('brings back a violation with its path', async () => {
    for (const path of [undefined, '8/synced']) {
      const end = await run('breaks', path === undefined ? {} : { path });
      assert.equal(end.kind, 'violation');
      assert.match(end.message, /^broken with seed 11\n {4}at /);
      assert.equal(end.path, path ?? '3/all');
    }
  });

  test('passes on the wish to stop', async () => {
    const controller = new AbortController();
    const end = run('stops', { signal: controller.signal });
    controller.abort();
    assert.deepEqual(await end, { kind: 'interrupted', work: oneCase });
    assert.equal((await run('counts')).kind, 'whole', 'the next round is not told to stop');
  });

  test('is given up with a round that holds the processor, and a new one takes the next round', async () => {
    void run('hangs');
    await thread.abandon();
    assert.equal((await run('counts')).kind, 'whole');
  });

  test('says so when a round ends it, and a new one takes the next round', async () => {
    assert.deepEqual(await run('dies'), { kind: 'violation', message: 'the thread of the rounds ended with status 7' });
    assert.equal((await run('counts')).kind, 'whole');
  });

  test('says so when it fails after a round that had ended', async () => {
    const ends = [
      await run('leaves'),
      await run('stops', { signal: AbortSignal.timeout(10_000) }),
      await run('counts'),
    ];
    assert.equal(ends.at(-1)?.kind, 'whole');
    const failed = ends.filter(({ kind }) => kind === 'violation');
    assert.equal(failed.length, 1, JSON.stringify(ends));
    assert.match(JSON.stringify(failed), /left behind/);
  });

  test('knows no other experiments than those of its catalogue', async () => {
    assert.deepEqual(await run('gone'), { kind: 'violation', message: "the thread knows no experiment 'gone'" });
  });
});

describe('the thread of the lab itself', () => {
  const round = { seed: 1, directory: '', signal: new AbortController().signal };

  test('tells a round to stop at an error that nothing caught, and makes it a violation', async () => {
    const place = new ThisThread();
    const end = place.run(experiment('a', { run: untilStopped }), round);
    place.stray(new RangeError('nobody waited for it'));
    place.stray(new RangeError('nor for this'));
    const { kind, message } = { message: '', ...(await end) };
    assert.equal(kind, 'violation');
    assert.match(message, /^an error that nothing caught: nobody waited for it\n {4}at /);
    assert.equal(place.aftermath(), undefined);
    assert.equal((await place.run(experiment('b'), round)).kind, 'whole');
  });

  test('keeps one that comes after a round for the next round, or for the end', async () => {
    const place = new ThisThread();
    await place.run(experiment('a'), round);
    place.stray(new RangeError('too late'));
    const { message } = { message: '', ...(await place.run(experiment('b'), round)) };
    assert.match(message, /^after an earlier round \(a\) an error that nothing caught: too late/);
    await place.run(experiment('b'), round);
    place.stray(new RangeError('later still'));
    const left = place.aftermath();
    assert.equal(left?.name, 'b');
    assert.match(left?.message ?? '', /later still/);
    assert.equal(place.aftermath(), undefined);
  });
});
