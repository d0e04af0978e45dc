import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CrashPointFailure, exploreCrashPoints, type Scenario } from './crash-points.ts';
import { exploreFaults } from './fault-points.ts';
import { LogStore, type Mistake } from './log-store.ts';
import type { SimulatedDisk } from './simulated-disk.ts';

/** `acknowledged` and `seen` numbers may never be missing again. */
interface LogEvent {
  readonly kind: 'attempted' | 'acknowledged' | 'seen';
  readonly number: number;
}

const numbers = [7, 300, 5, 80_000, 12, 9];

function workload(mistake?: Mistake): Scenario<LogEvent> {
  return async (disk, events) => {
    const store = await LogStore.open(disk, mistake);
    try {
      for (const [index, number] of numbers.entries()) {
        events.push({ kind: 'attempted', number });
        await store.append(number);
        if (index % 2 === 0) continue;
        await store.commit();
        for (const done of numbers.slice(index - 1, index + 1)) events.push({ kind: 'acknowledged', number: done });
      }
    } finally {
      await store.close();
    }
  };
}

function verify(mistake?: Mistake): Scenario<LogEvent> {
  return async (disk, events) => {
    const store = await LogStore.open(disk, mistake);
    await store.close();
    const owed = events.filter(({ kind }) => kind !== 'attempted').map(({ number }) => number);
    const attempted = new Set(events.map(({ number }) => number));
    for (const number of owed) assert.ok(store.numbers.includes(number), `${number} is lost`);
    for (const number of store.numbers) assert.ok(attempted.has(number), `${number} was never appended`);
    assert.deepEqual(store.numbers, numbers.slice(0, store.numbers.length), 'the order is kept');
    for (const number of store.numbers) events.push({ kind: 'seen', number });
    assert.deepEqual(disk.openHandles, []);
  };
}

function explore(mistake?: Mistake, depth = 2): Promise<{ points: number; states: number }> {
  return exploreCrashPoints({ workload: workload(mistake), verify: verify(mistake), seed: 1, depth });
}

async function failureOf(exploration: Promise<unknown>): Promise<CrashPointFailure> {
  try {
    await exploration;
  } catch (error) {
    if (error instanceof CrashPointFailure) return error;
    throw error;
  }
  return assert.fail('the mistake was not found');
}

describe('crash points', () => {
  test('are before each step of the workload and at its end, each with seven survivals', async () => {
    const { points, states } = await explore(undefined, 1);
    const stepCount = 4 + numbers.length + numbers.length / 2;
    assert.equal(points, stepCount + 1);
    assert.equal(states, points * 7);
  });

  test('of a store that waits for its syncs lose nothing, three crashes deep', async () => {
    const found = await exploreCrashPoints({
      workload: workload(),
      verify: verify(),
      seed: 2,
      depth: 3,
      randomSurvivals: 2,
      nestedPointsMax: 3,
    });
    assert.ok(found.states > 10_000, `${found.states} states`);
  });

  for (const mistake of ['no-sync', 'no-directory-sync', 'no-checksum'] as const) {
    test(`catch a store with the mistake ${mistake}`, async () => {
      await assert.rejects(explore(mistake, 1), CrashPointFailure);
    });
  }

  for (const [given, depth] of [
    ['the path', 1],
    ['the environment', 1],
    ['the path', 2],
  ] as const) {
    test(`name the seed and the way to a failure at depth ${depth}, which ${given} repeats alone`, async () => {
      const failure = await failureOf(explore('no-sync', depth));
      assert.match(failure.message, /seed 1, depth \d: crash at step \d+ \(before \w+ of log[^)]*\), survival synced/);
      const checked: SimulatedDisk[] = [];
      if (given === 'the environment') process.env.CRASH_PATH = failure.path;
      try {
        const repeated = exploreCrashPoints<LogEvent>({
          workload: workload('no-sync'),
          verify: async (disk, events) => {
            checked.push(disk);
            await verify('no-sync')(disk, events);
          },
          seed: 1,
          depth,
          ...(given === 'the path' && { path: failure.path }),
        });
        await assert.rejects(repeated, { message: failure.message });
      } finally {
        delete process.env.CRASH_PATH;
      }
      assert.equal(checked.length, failure.path.split(',').length);
    });
  }

  test('end when they are told to, with what they did until then', async () => {
    const controller = new AbortController();
    let states = 0;
    const found = await exploreCrashPoints<LogEvent>({
      workload: workload(),
      verify: async () => {
        if (++states === 10) controller.abort();
      },
      seed: 1,
      signal: controller.signal,
    });
    assert.deepEqual(found, { points: 2, states: 14 });
  });

  test('give the same states for the same seed', async () => {
    const seen: string[][] = [];
    for (const seed of [5, 5, 6]) {
      const states: string[] = [];
      await exploreCrashPoints<LogEvent>({
        workload: workload(),
        verify: async (disk) => {
          states.push([...disk.snapshot()].map(([path, bytes]) => `${path}:${bytes.toString('hex')}`).join());
        },
        seed,
      });
      seen.push(states);
    }
    assert.deepEqual(seen[0], seen[1]);
    assert.notDeepEqual(seen[0], seen[2]);
  });

  test('are only those that the filter wants', async () => {
    const found = await exploreCrashPoints({
      workload: workload(),
      verify: verify(),
      seed: 1,
      pointFilter: (step) => step % 5 === 0,
    });
    assert.equal(found.points, 2);
  });

  test('pass on the failure of a workload that did not crash', async () => {
    await assert.rejects(
      exploreCrashPoints({ workload: () => Promise.reject(new RangeError('wrong')), verify: verify(), seed: 1 }),
      RangeError,
    );
  });
});

describe('fault points', () => {
  const faults = ['eio', 'enospc', 'short-write', 'short-read', 'crash', 'crash-after'] as const;

  test('strike each operation of the workload once with each fault', async () => {
    const found = await exploreFaults({ workload: workload(), verify: verify(), seed: 3, faults });
    const operationCount = 6 + numbers.length + numbers.length / 2;
    assert.equal(found.points, operationCount * faults.length);
    assert.equal(found.states, found.points * 4);
  });

  test('strike again and again when told to', async () => {
    const found = await exploreFaults({
      workload: workload(),
      verify: verify(),
      seed: 3,
      faults: ['eio'],
      operationFilter: ({ kind }) => kind === 'sync',
      repeatEvery: 1,
    });
    assert.equal(found.points, 1 + numbers.length / 2);
  });

  test('catch a store that acknowledges although its sync failed', async () => {
    const deaf: Scenario<LogEvent> = async (disk, events) => {
      const store = await LogStore.open(disk);
      await store.append(7);
      await store.commit().catch(() => undefined);
      events.push({ kind: 'attempted', number: 7 }, { kind: 'acknowledged', number: 7 });
      await store.close();
    };
    await assert.rejects(
      exploreFaults({ workload: deaf, verify: verify(), seed: 3, faults: ['eio'] }),
      /seed 3: "eio" at operation 8 \(sync of log\), survival synced: 7 is lost \[path 0@8\/synced\]/,
    );
  });

  test('repeat one failure by its path, and end when told to', async () => {
    const seen: number[] = [];
    const exploration = {
      workload: workload(),
      verify: async (_disk: SimulatedDisk, events: LogEvent[]) => {
        seen.push(events.length);
        if (events.length > 3) throw new RangeError('too many');
      },
      seed: 3,
      faults: ['eio', 'enospc'] as const,
    };
    const failure = await failureOf(exploreFaults(exploration));
    seen.length = 0;
    await assert.rejects(exploreFaults({ ...exploration, path: failure.path }), { message: failure.message });
    assert.equal(seen.length, 1);
    const found = await exploreFaults({ ...exploration, signal: AbortSignal.abort() });
    assert.deepEqual(found, { points: 0, states: 0 });
  });

  for (const [mistake, outcome] of [
    [undefined, /^kept$/],
    ['no-rewrite', /is lost/],
  ] as const) {
    test(`with a power loss after the recovery: a store with ${mistake ?? 'no mistake'}`, async () => {
      const exploration = exploreFaults({
        workload: workload(),
        verify: async (disk, events) => {
          await verify(mistake)(disk, events);
          await verify(mistake)(disk.crash('synced'), events);
        },
        seed: 3,
        faults: ['eio'],
      });
      const found = await exploration.then(
        () => 'kept',
        (error: unknown) => String(error),
      );
      assert.match(found, outcome);
    });
  }

  test('catch a workload that answers a fault with a broken assertion', async () => {
    const clumsy: Scenario<LogEvent> = async (disk) => {
      const file = await disk.open('log', { create: true });
      await file.write(0, Buffer.alloc(1)).catch(() => file.close());
      await file.close();
    };
    await assert.rejects(
      exploreFaults({ workload: clumsy, verify: async () => {}, seed: 3, faults: ['eio'] }),
      /the workload: log is closed twice/,
    );
  });
});
