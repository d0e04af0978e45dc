import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type Experiment, type Round, Violation } from '../../crashlab/experiment.ts';
import { Lab, type LabResult, type LabSettings } from '../../crashlab/lab.ts';
import { type RoundPlace, ThisThread } from '../../crashlab/round-place.ts';
import type { Tally } from '../../crashlab/tally.ts';
import { noWork } from '../../crashlab/work.ts';
import { ManualClock } from '../simulation/manual-clock.ts';
import { experiment, oneCase, untilStopped } from './fake-experiments.ts';

let directory = '';
let clock = new ManualClock();
let interruption = new AbortController();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'permafrost-lab-'));
  clock = new ManualClock();
  interruption = new AbortController();
});

afterEach(() => {
  assert.deepEqual(readdirSync(directory), [], 'the rounds left something');
  assert.equal(clock.pendingTimers, 0);
  rmSync(directory, { recursive: true });
});

/** Counts how often it was given up and closed. */
class CountedPlace implements RoundPlace {
  readonly #place = new ThisThread();
  readonly ran: string[] = [];
  abandoned = 0;
  closed = 0;

  run(experiment: Experiment, round: Round) {
    this.ran.push(experiment.name);
    return this.#place.run(experiment, round);
  }

  stray(error: unknown): void {
    this.#place.stray(error);
  }

  aftermath() {
    return this.#place.aftermath();
  }

  async abandon(): Promise<void> {
    this.abandoned++;
  }

  async close(): Promise<void> {
    this.closed++;
  }
}

interface Ran extends LabResult {
  readonly here: CountedPlace;
  readonly thread: CountedPlace;
}

async function ran(experiments: readonly Experiment[], changes: Partial<LabSettings> = {}): Promise<Ran> {
  const [here, thread] = [new CountedPlace(), new CountedPlace()];
  const settings = { seed: 1, rounds: 1, durationMs: undefined, path: undefined, roundLimitMs: 60_000, graceMs: 5_000 };
  const lab = new Lab(
    { ...settings, directory, experiments, ...changes },
    { clock, here, thread, interrupted: interruption.signal },
  );
  const result = await lab.run();
  assert.deepEqual([here.closed, thread.closed], [1, 1]);
  return { ...result, here, thread };
}

function only({ tallies }: LabResult): Tally {
  const [tally] = tallies;
  assert.ok(tally !== undefined && tallies.length === 1);
  return tally;
}

describe('the rounds of the lab', () => {
  test('come to each experiment once before they come to any twice', async () => {
    const { here, endedBy, tallies } = await ran(
      ['a', 'b', 'c'].map((name) => experiment(name)),
      { rounds: 2 },
    );
    assert.deepEqual(here.ran, ['a', 'b', 'c', 'a', 'b', 'c']);
    assert.equal(endedBy, 'rounds');
    for (const { wholeRounds, work } of tallies) assert.deepEqual([wholeRounds, work.cases], [2, 2]);
  });

  test('of simulated and surgical experiments run in the thread, the others here', async () => {
    const families = ['simulated', 'process', 'redis', 'surgery', 'payload'] as const;
    const { here, thread } = await ran(families.map((family) => experiment(family, { family })));
    assert.deepEqual(thread.ran, ['simulated', 'surgery']);
    assert.deepEqual(here.ran, ['process', 'redis', 'payload']);
  });

  test('begin with the seed of the lab, go on with seeds of their own, the same in each run', async () => {
    const runs: (readonly (readonly [string, number])[])[] = [];
    for (const seed of [7, 7]) {
      const seen: [string, number][] = [];
      const noting = (name: string): Experiment =>
        experiment(name, {
          run: async (round) => {
            seen.push([name, round.seed]);
            return oneCase;
          },
        });
      await ran([noting('a'), noting('b')], { seed, rounds: 3 });
      runs.push(seen);
    }
    assert.deepEqual(runs[0], runs[1]);
    assert.deepEqual(runs[0]?.slice(0, 2), [
      ['a', 7],
      ['b', 7],
    ]);
    assert.equal(new Set(runs[0]?.map(([, seed]) => seed)).size, 5);
  });

  test('get an empty directory each, which is removed with all that is in it', async () => {
    const seen: string[] = [];
    const run = async (round: Round) => {
      assert.deepEqual(readdirSync(round.directory), []);
      writeFileSync(join(round.directory, 'file'), 'x');
      seen.push(round.directory);
      return oneCase;
    };
    assert.deepEqual(only(await ran([experiment('a', { run })], { rounds: 2 })).violations, []);
    assert.equal(new Set(seen).size, 2);
    assert.deepEqual(seen.map(existsSync), [false, false]);
  });

  test('get the path that was asked for, and owe no least work then', async () => {
    const paths: (string | undefined)[] = [];
    const run = async (round: Round) => {
      paths.push(round.path);
      return { ...noWork, diskStates: 1 };
    };
    const { shortfalls } = only(await ran([experiment('a', { run })], { path: '3/all' }));
    assert.deepEqual([paths, shortfalls], [['3/all'], []]);
  });

  test('fall short when the path that was asked for leads to nothing', async () => {
    for (const path of ['nonsense', '', '999999/0']) {
      const run = async () => ({ ...noWork, crashPoints: 1 });
      const { shortfalls } = only(await ran([experiment('a', { run })], { path }));
      assert.deepEqual(shortfalls, [
        `the path '${path}' leads to no state of the round with seed 1: nothing was checked`,
      ]);
    }
  });
});

describe('what the lab finds', () => {
  test('after the last round counts against the experiment that ran last', async () => {
    const [here, thread] = [new CountedPlace(), new CountedPlace()];
    const limits = { seed: 1, rounds: 1, durationMs: undefined, path: undefined, roundLimitMs: 60_000, graceMs: 5_000 };
    const experiments = [experiment('a'), experiment('b')];
    const roundEnded = (tally: Tally): void => {
      if (tally.experiment.name === 'b') here.stray(new RangeError('too late'));
    };
    const parts = { clock, here, thread, interrupted: interruption.signal, roundEnded };
    const { tallies } = await new Lab({ ...limits, directory, experiments }, parts).run();
    assert.deepEqual(tallies[0]?.shortfalls, []);
    assert.match(tallies[1]?.shortfalls.join() ?? '', /^after its last round an error that nothing caught: too late/);
  });

  test('is a violation with the command that repeats it, and the others go on', async () => {
    const broken = experiment('broken', {
      run: async () => {
        throw new Violation('record 3 is lost', { path: '4/all' });
      },
    });
    const { tallies, here } = await ran([broken, experiment('whole')], { seed: 9 });
    const [violation] = tallies[0]?.violations ?? [];
    assert.match(violation?.message ?? '', /^record 3 is lost\n {4}at /);
    assert.equal(violation?.replay, "npm run crashlab -- --fault broken --seed 9 --path '4/all' --rounds 1");
    assert.deepEqual(here.ran, ['broken', 'whole']);
    assert.equal(tallies[1]?.wholeRounds, 1);
  });

  test('is a violation, whatever a round throws', async () => {
    const run = async () => assert.equal(1, 2, 'one is two') ?? oneCase;
    assert.match(only(await ran([experiment('a', { run })])).violations[0]?.message ?? '', /^one is two/);
  });

  test('ends the rounds of an experiment after the fifth violation', async () => {
    const run = () => Promise.reject(new Violation('lost'));
    const { here, tallies } = await ran([experiment('a', { run })], { rounds: 100 });
    assert.equal(here.ran.length, 5);
    assert.equal(new Set(tallies[0]?.violations.map(({ seed }) => seed)).size, 5);
  });

  test('is a shortfall when a whole round did less than it owes', async () => {
    const leastWork = { cases: 2, operations: 10 };
    const run = async () => ({ ...noWork, cases: 2, operations: 9 });
    assert.deepEqual(only(await ran([experiment('a', { leastWork, run })], { seed: 3 })).shortfalls, [
      'the round with seed 3 did 9 operations instead of at least 10',
    ]);
  });

  test('is nothing about an experiment that cannot run here', async () => {
    const { here, tallies } = await ran([experiment('a', { unavailable: async () => 'no strace' }), experiment('b')]);
    assert.deepEqual(here.ran, ['b']);
    assert.deepEqual([tallies[0]?.skipped, tallies[0]?.shortfalls], ['no strace', []]);
  });

  test('is a shortfall when it cannot be found out whether an experiment can run here', async () => {
    const unavailable = () => Promise.reject(new RangeError('no answer'));
    const { shortfalls } = only(await ran([experiment('a', { unavailable })]));
    assert.match(shortfalls[0] ?? '', /could not be found out: no answer/);
  });
});

describe('the limits of the lab', () => {
  /** Moves the clock when a round of this experiment runs, then waits to be told to stop. */
  function whileRunning(name: string, act: (round: Round) => void, then = untilStopped): Experiment {
    return experiment(name, {
      run: (round) => {
        act(round);
        return then(round);
      },
    });
  }

  test('let every experiment have its first round, in overtime when need be', async () => {
    const seen: boolean[] = [];
    const first = whileRunning(
      'first',
      (round) => {
        clock.advance(10_000);
        seen.push(round.signal.aborted);
      },
      async () => oneCase,
    );
    const result = await ran([first, experiment('late')], { durationMs: 10_000, rounds: undefined });
    assert.deepEqual([result.endedBy, result.tookMs, seen], ['time', 10_000, [false]]);
    assert.deepEqual(
      result.tallies.map(({ wholeRounds, shortfalls }) => [wholeRounds, shortfalls]),
      [
        [1, []],
        [1, []],
      ],
    );
  });

  test('end the overtime as well, and say which experiments got no whole round', async () => {
    const long = whileRunning('long', () => clock.advance(20_000));
    const { tallies, here, endedBy } = await ran([long, experiment('late')], { durationMs: 10_000, rounds: undefined });
    assert.deepEqual([here.ran, endedBy], [['long'], 'overtime']);
    for (const { shortfalls } of tallies) assert.match(shortfalls[0] ?? '', /got no whole round/);
  });

  test('stop a later round at the end of the time, and count what it did', async () => {
    let rounds = 0;
    const later = experiment('later', {
      run: (round) => {
        if (++rounds === 1) return Promise.resolve(oneCase);
        clock.advance(10_000);
        return untilStopped(round);
      },
    });
    const tally = only(await ran([later], { durationMs: 10_000, rounds: undefined }));
    assert.deepEqual([tally.wholeRounds, tally.interruptedRounds, tally.work.cases], [1, 1, 2]);
    assert.deepEqual([tally.violations, tally.shortfalls], [[], []]);
  });

  test('stop everything when the user wants no more, without a word on what was not done', async () => {
    const stopping = whileRunning('stopping', () => interruption.abort());
    const { endedBy, tallies, here } = await ran([stopping, experiment('never')]);
    assert.equal(endedBy, 'interrupted');
    assert.deepEqual(here.ran, ['stopping']);
    assert.deepEqual(
      tallies.flatMap(({ shortfalls }) => shortfalls),
      [],
    );
    assert.equal(tallies[0]?.interruptedRounds, 1);
  });

  test('begin nothing when the user wanted no more before it began', async () => {
    interruption.abort();
    const { here, endedBy } = await ran([experiment('never')]);
    assert.deepEqual([here.ran, endedBy], [[], 'interrupted']);
  });

  test('take the failure of a round that was told to stop for its end, but not a Violation', async () => {
    const failing = (error: Error): Experiment =>
      experiment('failing', {
        run: () => {
          interruption.abort();
          return Promise.reject(error);
        },
      });
    assert.deepEqual(only(await ran([failing(new RangeError('the server is gone'))])).violations, []);
    interruption = new AbortController();
    assert.equal(only(await ran([failing(new Violation('lost'))])).violations.length, 1);
  });

  test('fail a round that takes too long, although it ends when it is told to', async () => {
    const { tallies, here } = await ran([whileRunning('slow', () => clock.advance(60_000)), experiment('next')]);
    assert.equal(tallies[0]?.violations[0]?.message, 'took longer than 60 s, the limit of a round');
    assert.deepEqual([here.abandoned, tallies[1]?.wholeRounds], [0, 1]);
  });

  test('give up a round that does not end when it is told to, name it, and go on', async () => {
    const forever = (): Promise<never> => new Promise(() => {});
    const hanging = whileRunning('hanging', () => queueMicrotask(() => clock.advance(65_000)), forever);
    const { tallies, here } = await ran([hanging, experiment('next')], { seed: 5 });
    const [violation] = tallies[0]?.violations ?? [];
    assert.equal(violation?.message, 'hung: told to stop after 60 s it did not end within 5 s');
    assert.equal(violation?.replay, 'npm run crashlab -- --fault hanging --seed 5 --rounds 1');
    assert.deepEqual([here.abandoned, tallies[1]?.wholeRounds], [1, 1]);
  });

  test('give up a round that does not end when the user wants no more', async () => {
    const stubborn = whileRunning(
      'stubborn',
      () => {
        interruption.abort();
        queueMicrotask(() => clock.advance(5_000));
      },
      () => new Promise(() => {}),
    );
    const { tallies } = await ran([stubborn]);
    assert.equal(tallies[0]?.violations[0]?.message, 'hung: told to stop it did not end within 5 s');
  });
});
