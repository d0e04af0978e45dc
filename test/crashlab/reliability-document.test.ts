import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { catalogue } from '../../crashlab/catalogue.ts';
import { figuresEnd, figuresOf, figuresStart, withFigures } from '../../crashlab/figures.ts';
import type { Report } from '../../crashlab/report.ts';
import { noWork } from '../../crashlab/work.ts';

const text = readFileSync(new URL('../../docs/RELIABILITY.md', import.meta.url), 'utf8');
const rowCount = 26;

interface Row {
  readonly number: number;
  readonly experiments: readonly string[];
}

/** The table of faults: number, fault, experiments, further tests. */
const rows = [...text.matchAll(/^\| (\d+) \|[^|]+\|([^|]+)\|/gm)].map(
  ([, number, experiments = '']): Row => ({ number: Number(number), experiments: namesIn(experiments) }),
);

function namesIn(cell: string): readonly string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '').sort();
}

describe('docs/RELIABILITY.md', () => {
  test('has every row of the faults, once and in order', () => {
    assert.deepEqual(
      rows.map(({ number }) => number),
      Array.from({ length: rowCount }, (_, index) => index + 1),
    );
  });

  for (const { number, experiments } of rows) {
    test(`names in row ${number} the experiments that stand for it`, () => {
      const standing = catalogue.filter((experiment) => experiment.rows.includes(number)).map(({ name }) => name);
      assert.deepEqual(experiments, standing.sort());
    });
  }

  test('names no test that does not exist, and no experiment that does not', () => {
    const known = new Set(catalogue.map(({ name }) => name));
    const [, afterFaults = ''] = text.split('## Beside the original engine');
    for (const [, name = ''] of text.matchAll(/`([\w/-]+\.test\.ts)`/g)) {
      assert.ok(existsSync(new URL(`../${name}`, import.meta.url)), name);
    }
    for (const [, name = ''] of afterFaults.matchAll(/`((?:freezer|shard|closed|crashed)-[a-z-]+|[a-z]+-redis)`/g)) {
      assert.ok(known.has(name), name);
    }
  });

  test('has a place for the figures of long runs', () => {
    const written = withFigures(text, [report]);
    assert.ok(written.includes(figuresOf(report)));
    assert.equal(withFigures(written, [report]), written, 'figures take the place of figures');
    assert.equal(outside(written), outside(text));
    assert.throws(() => withFigures('no place', [report]), RangeError);
  });
});

function outside(document: string): string {
  return document.slice(0, document.indexOf(figuresStart)) + document.slice(document.indexOf(figuresEnd));
}

const ran = { family: 'simulated', rows: [1], promise: 'it holds', skipped: null, violations: [], shortfalls: [] };
const report: Report = {
  seed: 77,
  startedAt: '2026-11-22T20:15:30.000Z',
  seconds: 3600,
  tookSeconds: 3601.4,
  endedBy: 'time',
  version: '0.1.0',
  machine: { processor: 'Z80', processorCount: 2, memoryBytes: 2 ** 31, system: 'cpm 2', node: 'v24.0.0' },
  experiments: [
    { ...ran, ...noWork, name: 'torn', rounds: 12, interruptedRounds: 0, crashPoints: 1_234_567 },
    { ...ran, ...noWork, name: 'traced', rounds: 0, interruptedRounds: 0, skipped: 'no strace' },
  ],
  passed: true,
};

test('the figures of a run have its seed, time, duration and machine, and what was skipped as skipped', () => {
  assert.deepEqual(figuresOf(report).split('\n'), [
    'Begun 2026-11-22 20:15 UTC, 3,601 s, seed 77, version 0.1.0, 2 × Z80, 2.0 GiB, cpm 2, node v24.0.0: passed.',
    '',
    '| experiment | rounds | cases | crash points | disk states | operations | violations |',
    '|---|---:|---:|---:|---:|---:|---:|',
    '| `torn` | 12 | 0 | 1,234,567 | 0 | 0 | 0 |',
    '| `traced` | skipped: no strace | | | | | |',
  ]);
});
