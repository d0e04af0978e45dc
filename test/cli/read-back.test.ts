import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ArchivedRecord, readBack } from '../../src/cli/read-back.ts';
import type { FoundRecord, LookupTarget } from '../../src/client/lookups.ts';
import { HandClock } from './manual-terminal.ts';

function archived(key: string, source: string): ArchivedRecord {
  const load = () => Promise.resolve(Buffer.from(source));
  return {
    record: { kind: 'record', where: key, key, size: source.length, part: false, load },
    cursor: `cursor of ${key}`,
  };
}

function found(key: string, value: string): FoundRecord {
  return { key, cursor: undefined, value: Buffer.from(value), size: value.length, time: undefined };
}

function run(records: readonly ArchivedRecord[], lookup: (target: LookupTarget) => Promise<FoundRecord | undefined>) {
  const mismatches: string[] = [];
  const mismatch = (where: string, reason: string): void => void mismatches.push(`${where} ${reason}`);
  const ports = { lookup, mismatch, clock: new HandClock(), interrupted: new AbortController().signal };
  return readBack(records, ports).then((result) => ({ ...result, told: mismatches.sort() }));
}

test('each record is looked up by its key, every third by its cursor, and equal bytes are counted', async () => {
  const records = Array.from({ length: 30 }, (_, n) => archived(`k${n}`, `value ${n}`));
  const targets: LookupTarget[] = [];
  const result = await run(records, (target) => {
    targets.push(target);
    const key = typeof target === 'string' ? target : target.cursor.replace('cursor of ', '');
    return Promise.resolve(found(key, `value ${key.slice(1)}`));
  });
  assert.deepEqual([result.byKey, result.byCursor, result.mismatches], [30, 10, 0]);
  assert.equal(result.latencies.count, 40);
  assert.equal(new Set(targets.filter((target) => typeof target === 'string')).size, 30);
});

test('a missing record, other bytes, another length, another key and a failed lookup are each told', async () => {
  const answers: Readonly<Record<string, () => Promise<FoundRecord | undefined>>> = {
    a: () => Promise.resolve(undefined),
    b: () => Promise.resolve(found('b', 'xalue')),
    c: () => Promise.resolve(found('c', 'values')),
    d: () => Promise.resolve(found('e', 'value')),
    f: () => Promise.reject(new RangeError('corrupt: expected 1, found 2')),
    g: () => Promise.resolve(found('g', 'value')),
  };
  const byKey = (target: LookupTarget) =>
    (typeof target === 'string' ? answers[target]?.() : undefined) ?? Promise.resolve(found('', 'value'));
  const result = await run(
    Object.keys(answers).map((key) => archived(key, 'value')),
    byKey,
  );
  assert.deepEqual(
    result.told.filter((line) => !line.includes('another key: ')),
    [
      'a is missing from the archive',
      'b has other bytes than its source',
      'c has 6 bytes, its source has 5',
      'f corrupt: expected 1, found 2',
    ],
  );
  assert.ok(result.told.includes('d has another key: e'));
  assert.equal(result.byKey, 6);
});
