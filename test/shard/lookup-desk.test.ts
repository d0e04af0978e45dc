import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { corruption } from '../../src/blob/blob-error.ts';
import type { Lookup } from '../../src/freezer/lookup.ts';
import type { Envelope } from '../../src/shard/envelope.ts';
import { LookupDesk, type SeatState } from '../../src/shard/lookup.ts';
import type { Store } from '../../src/shard/store.ts';
import { StoreSeat } from '../../src/shard/store-seat.ts';
import { textIn } from './shard-harness.ts';

const found: Lookup<Envelope> = {
  kind: 'found',
  value: { putId: 'p', recordIndex: 0, archivedAtMs: 1, key: 'a', payload: Buffer.from('1') },
  cursor: { section: 0, offset: 0, size: 10 },
};
const rotten: Lookup<Envelope> = {
  kind: 'failed',
  error: corruption('record', { file: 'key/0', offset: 8, expected: 1, found: 2 }),
};

/** As much of a store as a lookup sees; each lookup runs the next of the steps. */
function storeOf(...steps: (() => Lookup<Envelope>)[]): Store {
  const lookupMany = async (identifiers: readonly unknown[]): Promise<readonly Lookup<Envelope>[]> => {
    const step = steps.shift();
    assert.ok(step !== undefined, 'asked once too often');
    const lookup = step();
    return identifiers.map(() => lookup);
  };
  const committed = { section: 1, keyBytes: 0, valueBytes: 0 };
  const freezer = { lookupMany, committed, poisoned: undefined };
  return { freezer, syncFailed: false, release: async () => {} } as unknown as Store;
}

function quiet(): { -readonly [Name in keyof SeatState]: SeatState[Name] } {
  const settled = async (): Promise<void> => {};
  return { disturbances: 0, disturbed: false, closed: false, attemptOver: settled, recovered: settled };
}

function unexpected(error: unknown): void {
  assert.fail(String(error));
}

const question = { key: 'a', storedKey: Buffer.alloc(32) };

async function ask(seat: StoreSeat, state: SeatState): Promise<string> {
  const [answer] = await new LookupDesk(seat, state).lookupMany([question]);
  return textIn(answer);
}

describe('the lookup desk', () => {
  test('throws away what an instance said that was replaced meanwhile', async () => {
    const next = storeOf(() => found);
    const seat: StoreSeat = new StoreSeat(
      storeOf(() => {
        seat.replace(next);
        return { kind: 'missing' };
      }),
      unexpected,
    );
    assert.equal(await ask(seat, quiet()), '=1');
  });

  test('asks again about damage that it met while another instance was being opened', async () => {
    const state = quiet();
    const begins = (): Lookup<Envelope> => {
      state.disturbances = 1;
      return rotten;
    };
    state.attemptOver = async () => {
      state.disturbances = 2;
    };
    assert.equal(
      await ask(
        new StoreSeat(
          storeOf(begins, () => found),
          unexpected,
        ),
        state,
      ),
      '=1',
    );
    assert.equal(
      await ask(
        new StoreSeat(
          storeOf(() => rotten),
          unexpected,
        ),
        state,
      ),
      'corrupt',
      'nobody disturbed it',
    );
  });

  test('waits for another instance when the table may be taken back under this one', async () => {
    const state = { ...quiet(), disturbed: true };
    const failed = Object.assign(storeOf(), { syncFailed: true });
    const seat = new StoreSeat(failed, unexpected);
    state.recovered = async () => seat.replace(storeOf(() => found));
    assert.equal(await ask(seat, state), '=1');
  });

  test('gives a replaced instance back when its last reader is done', async () => {
    const released: string[] = [];
    const named = (name: string, ...steps: (() => Lookup<Envelope>)[]): Store =>
      Object.assign(storeOf(...steps), { release: async () => void released.push(name) });
    const seat = new StoreSeat(named('first'), unexpected);
    await seat.read(async () => {
      seat.replace(named('second'));
      await seat.read(async () => {});
      assert.deepEqual(released, []);
    });
    assert.deepEqual(released, ['first']);
    seat.replace(named('third'));
    assert.deepEqual(released, ['first', 'second']);
    await seat.vacate();
    assert.deepEqual(released, ['first', 'second', 'third']);
  });
});
