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

test('holds a job while the shard cannot store', () => {
  const ours = [
    new FreezerError('poisoned', 'a write failed'),
    new ShardError('failed', 'cannot go on'),
    new ShardError('overloaded', 'too much waits'),
    new DiskError('disk-failed', 'EIO'),
    new DiskError('disk-full', 'ENOSPC'),
  ];
  for (const error of ours) assert.deepEqual(verdictOn(error), { kind: 'hold' });
});

test('tries a job again for a while when it meets what nobody foresaw', () => {
  const unforeseen = [new TypeError('a bug'), 'not even an error', new FreezerError('invalid-cursor', 'ours')];
  for (const error of unforeseen) assert.deepEqual(verdictOn(error), { kind: 'retry' });
});

test('hands a job back when the shard is being closed', () => {
  assert.deepEqual(verdictOn(new ShardError('closing', 'closing')), { kind: 'hand-back' });
});
