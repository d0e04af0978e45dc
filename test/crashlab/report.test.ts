import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { LabResult } from '../../crashlab/lab.ts';
import { LabProgress } from '../../crashlab/progress.ts';
import { type Report, reportOf, statusOf, textOf } from '../../crashlab/report.ts';
import { Tally } from '../../crashlab/tally.ts';
import { noWork } from '../../crashlab/work.ts';
import { ManualClock } from '../simulation/manual-clock.ts';
import { experiment } from './fake-experiments.ts';

const machine = { processor: 'Z80', processorCount: 2, memoryBytes: 2 ** 30, system: 'cpm 2 z80', node: 'v24.0.0' };
const facts = { seed: 5, startedAt: '2026-01-01T00:00:00.000Z', seconds: 60, version: '1.2.3', machine };

function whole(name: string, rounds = 2): Tally {
  const tally = new Tally(experiment(name, { family: 'simulated', rows: [1, 2] }));
  const work = { ...noWork, cases: 700, crashPoints: 700, diskStates: 4_000 };
  for (let seed = 0; seed < rounds; seed++) tally.add(seed, { kind: 'whole', work });
  return tally;
}

function broken(): Tally {
  const tally = new Tally(experiment('broken'));
  for (const seed of [8, 9]) tally.add(seed, { kind: 'violation', message: `lost ${seed}`, path: '3/all' });
  return tally;
}

function report(tallies: readonly Tally[], endedBy: LabResult['endedBy'] = 'time'): Report {
  return reportOf(facts, { tallies, endedBy, tookMs: 60_123 });
}

describe('the report of the lab', () => {
  test('is a table with the sums of each family, simulated and real apart', () => {
    const text = textOf(report([whole('torn'), whole('a-longer-name', 1), new Tally(experiment('killed'))]));
    assert.deepEqual(text.split('\n').slice(0, 6), [
      'fault             rows  rounds  cases  crash points  disk states  operations  violations',
      'torn              1 2        2  1,400         1,400        8,000           0           0',
      'a-longer-name     1 2        1    700           700        4,000           0           0',
      'simulated in all             3  2,100         2,100       12,000           0           0',
      'killed            1          0      0             0            0           0           0',
      'process in all               0      0             0            0           0           0',
    ]);
    assert.match(text, /^seed 5, 60.1 s, ended by its time$/m);
    assert.match(text, /^2 × Z80, 1.0 GiB, cpm 2 z80, node v24.0.0$/m);
    assert.match(text, /^passed: 3 experiments without a violation$/m);
  });

  test('shows what was skipped as skipped, never as passed', () => {
    const found = report([whole('torn'), new Tally(experiment('traced'), 'there is no strace')]);
    assert.match(textOf(found), /^traced +1 +skipped: there is no strace$/m);
    assert.match(textOf(found), /^passed: 1 experiments without a violation, 1 skipped$/m);
    assert.equal(statusOf(found), 0);
    assert.equal(found.experiments[1]?.skipped, 'there is no strace');
  });

  test('fails when nothing was run at all', () => {
    const found = report([new Tally(experiment('traced'), 'there is no strace')]);
    assert.match(textOf(found), /^failed: nothing was run, 1 skipped$/m);
    assert.deepEqual([statusOf(found), found.passed], [1, false]);
  });

  test('shows the first violation of an experiment, and how to repeat each', () => {
    const found = report([whole('torn'), broken()]);
    const lines = textOf(found).split('\n');
    const at = lines.indexOf('broken: VIOLATION: lost 8');
    assert.deepEqual(lines.slice(at + 1, at + 5), [
      "  again: npm run crashlab -- --fault broken --seed 8 --path '3/all' --rounds 1",
      "  again: npm run crashlab -- --fault broken --seed 9 --path '3/all' --rounds 1",
      '',
      'failed: 1 of 2 experiments',
    ]);
    assert.deepEqual([statusOf(found), found.passed], [1, false]);
  });

  test('fails when less was done than the lab promises', () => {
    const tally = whole('torn');
    tally.fallsShort('the round with seed 1 did 3 cases instead of at least 9');
    const found = report([tally]);
    assert.match(textOf(found), /^torn: TOO LITTLE: the round with seed 1 did 3 cases instead of at least 9$/m);
    assert.equal(statusOf(found), 1);
  });

  test('of an interrupted run has a status of its own, unless it had found something', () => {
    assert.equal(statusOf(report([whole('torn')], 'interrupted')), 130);
    assert.match(textOf(report([whole('torn')], 'interrupted')), /^interrupted: no violation until then$/m);
    assert.equal(statusOf(report([broken()], 'interrupted')), 1);
  });

  test('as a document has all numbers, the seed, the machine, and each violation with its command', () => {
    const read: unknown = JSON.parse(JSON.stringify(report([whole('torn'), broken()])));
    assert.deepEqual(read, {
      seed: 5,
      startedAt: facts.startedAt,
      seconds: 60,
      tookSeconds: 60.1,
      endedBy: 'time',
      version: '1.2.3',
      machine,
      experiments: [
        {
          name: 'torn',
          family: 'simulated',
          rows: [1, 2],
          promise: 'it holds',
          skipped: null,
          rounds: 2,
          interruptedRounds: 0,
          cases: 1400,
          crashPoints: 1400,
          diskStates: 8000,
          operations: 0,
          violations: [],
          shortfalls: [],
        },
        {
          name: 'broken',
          family: 'process',
          rows: [1],
          promise: 'it holds',
          skipped: null,
          rounds: 2,
          interruptedRounds: 0,
          ...noWork,
          violations: [8, 9].map((seed) => ({
            seed,
            path: '3/all',
            message: `lost ${seed}`,
            replay: `npm run crashlab -- --fault broken --seed ${seed} --path '3/all' --rounds 1`,
          })),
          shortfalls: [],
        },
      ],
      passed: false,
    });
  });
});

describe('the progress of the lab', () => {
  const lab = { tallies: [whole('torn')], running: ['torn', 'killed'], tookMs: 12_500 };
  const line =
    '12 of 60 s, 1 of 1 experiments, 2 rounds, 1400 cases, 8000 disk states, 0 violations, now torn and killed';

  function screen(isTTY: boolean) {
    const written: string[] = [];
    return { isTTY, columns: 200, written, write: (text: string) => written.push(text) };
  }

  test('is one line on a terminal, drawn over each time and taken away at the end', () => {
    const terminal = screen(true);
    const progress = new LabProgress(terminal, new ManualClock(), 60);
    progress.tick(lab);
    progress.tick({ ...lab, running: ['torn'] });
    progress.clear();
    const shorter = line.replace(' and killed', '').padEnd(line.length);
    assert.deepEqual(terminal.written.slice(0, 2), [`\r${line}`, `\r${shorter}`]);
    assert.match(terminal.written[2] ?? '', /^\r +\r$/);
  });

  test('is a line every ten seconds elsewhere', () => {
    const file = screen(false);
    const clock = new ManualClock();
    const progress = new LabProgress(file, clock, 60);
    progress.tick(lab);
    clock.advance(10_000);
    progress.tick(lab);
    progress.tick(lab);
    assert.deepEqual(file.written, [`${line}\n`]);
  });

  test('tells of each violation once, at once', () => {
    const file = screen(false);
    const progress = new LabProgress(file, new ManualClock(), undefined);
    const tally = broken();
    progress.roundEnded(tally);
    progress.roundEnded(tally);
    assert.equal(file.written.filter((text) => text.startsWith('broken: VIOLATION: lost ')).length, 2);
    assert.equal(file.written.length, 2);
  });
});
