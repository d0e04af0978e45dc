import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { exploreApart } from '../simulation/apart.ts';

const module = new URL('./broken-engines.ts', import.meta.url);

/** Whole engines go through the same explorations in test/crashlab. */
describe('the crash explorations notice an engine that is broken on purpose', () => {
  for (const name of [
    'no fsync of key sections',
    'no fsync of value sections',
    'no fsync of the table',
    'table written before the journals are durable',
    'puts before the checkpoint is saved',
    'pages written while their fsync is in flight',
    'adopted bytes not written again',
    'a failed fsync asked for once more',
  ]) {
    test(name, async () => {
      await assert.rejects(
        exploreApart(module, name),
        /crash at step \d+|table written at \d+|synced again although its fsync had failed/,
      );
    });
  }
});
