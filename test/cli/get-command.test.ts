import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { commands } from '../../src/cli/commands.ts';
import { dispatch } from '../../src/cli/dispatch.ts';
import { recordedTerminal } from './manual-terminal.ts';

/** Runs where no Redis is: what asks for one ends with 3. */
async function get(cursor: string): Promise<{ readonly status: number; readonly notes: string }> {
  const environment = { PERMAFROST_REDIS_URL: 'redis://127.0.0.1:1', PERMAFROST_REDIS_START_TIMEOUT_MS: '100' };
  const interrupted = new AbortController().signal;
  const terminal = { ...recordedTerminal(), clock: systemClock, environment, interrupted };
  const status = await dispatch(['get', '--cursor', cursor], commands, '0', terminal);
  return { status, notes: terminal.notes.text };
}

test('a cursor that cannot be one is refused before any connection', async () => {
  const { status, notes } = await get('nonsense');
  assert.equal(status, 2, notes);
  assert.match(notes, /--cursor: not a cursor, which is <shard>:<40/);
});

test('any other cursor is asked for', async () => {
  const { status, notes } = await get(`0:${'00'.repeat(20)}`);
  assert.equal(status, 3, notes);
});
