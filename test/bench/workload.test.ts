import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ValuesHash, Workload } from '../../bench/workload.ts';

const size = { recordCount: 25, keyBytes: 32, valueBytes: 10, batchCount: 10 };

test('the workload is the same each time it is made, and the last batch may be short', () => {
  const workload = new Workload(size);
  assert.deepEqual([workload.batches, workload.batch(2).length, workload.payloadBytes], [3, 5, 1050]);
  assert.deepEqual(new Workload(size).batch(1), workload.batch(1));
  const keys = [0, 1, 2].flatMap((index) => workload.batch(index).map((record) => record.key.toString('hex')));
  assert.equal(new Set(keys).size, 25);
});

test('a record by its position is the one in its batch', () => {
  const workload = new Workload(size);
  const all = [0, 1, 2].flatMap((index) => workload.batch(index));
  for (const [position, record] of all.entries()) assert.deepEqual(workload.record(position), record);
});

test('positions are drawn from all records, another series draws others', () => {
  const workload = new Workload({ ...size, recordCount: 1000 });
  const drawn = workload.positions(1, 4000);
  assert.deepEqual(drawn, workload.positions(1, 4000));
  assert.notDeepEqual(drawn, workload.positions(2, 4000));
  assert.ok(drawn.every((position) => Number.isInteger(position) && position >= 0 && position < 1000));
  assert.ok(new Set(drawn).size > 950);
});

test('the hash depends on the values, their order, and what is missing', () => {
  const [a, b] = [Buffer.from('a'), Buffer.from('b')];
  const hashOf = (...values: (Buffer | undefined)[]): string => {
    const hash = new ValuesHash();
    hash.add(values);
    return hash.digest();
  };
  assert.equal(hashOf(a, b), hashOf(a, b));
  assert.notEqual(hashOf(a, b), hashOf(b, a));
  assert.notEqual(hashOf(a, undefined), hashOf(a));
});
