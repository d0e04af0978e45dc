import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiskError } from '../../src/disk/disk-error.ts';
import { FreezerError } from '../../src/freezer/freezer-error.ts';
import { ProtocolError } from '../../src/protocol/protocol-error.ts';
import { verdictOn } from '../../src/queue/job-outcome.ts';
import { ShardError } from '../../src/shard/shard-error.ts';

test('refuses for good what is the fault of the job', () => {
  const limit = new ProtocolError('limit-exceeded', 'too much', { details: { limit: 'recordCountMax' } });
  assert.deepEqual(verdictOn(limit), {
    kind: 'refuse',
    error: { code: 'limit-exceeded', message: 'too much', limit: 'recordCountMax' },
  });
  assert.deepEqual(verdictOn(new ShardError('key-exists', 'there')), {
    kind: 'refuse',
    error: { code: 'key-exists', message: 'there' },
  });
});

test('holds a job for what is our own fault, whatever it is', () => {
  const ours = [
    new FreezerError('poisoned', 'a write failed'),
    new ShardError('failed', 'cannot go on'),
    new ShardError('overloaded', 'too much waits'),
    new DiskError('disk-failed', 'EIO'),
    new TypeError('a bug'),
    'not even an error',
  ];
  for (const error of ours) assert.deepEqual(verdictOn(error), { kind: 'hold' });
});

test('hands a job back when the shard is being closed', () => {
  assert.deepEqual(verdictOn(new ShardError('closing', 'closing')), { kind: 'hand-back' });
});
