import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Progress } from '../../src/cli/progress.ts';
import { HandClock, RecordedOutput } from './manual-terminal.ts';

const records = { label: 'archiving', unit: 'records' };

test('without a terminal a plain line comes every five seconds, and one at the end', () => {
  const [output, clock] = [new RecordedOutput(), new HandClock()];
  const progress = new Progress(records, output, clock);
  for (let second = 1; second <= 12; second++) {
    clock.nowMs = second * 1000;
    progress.update(second * 100, 2400);
  }
  progress.end();
  assert.deepEqual(output.text.split('\n'), [
    'archiving: 500 of 2,400 records (20%), 100/s, 19 s left',
    'archiving: 1,000 of 2,400 records (41%), 100/s, 14 s left',
    'archiving: 1,200 records in 12 s, 100/s',
    '',
  ]);
});

test('on a terminal one bar is drawn over itself and never wider than the screen', () => {
  const [output, clock] = [new RecordedOutput({ columns: 60 }), new HandClock()];
  const progress = new Progress(records, output, clock);
  for (let step = 1; step <= 50; step++) {
    clock.nowMs = step * 100;
    progress.update(step * 10, 1000);
  }
  const drawings = output.text.split('\r').slice(1);
  assert.equal(drawings.length, 50);
  for (const drawing of drawings) assert.ok(drawing.length <= 59, drawing);
  assert.ok(!output.text.includes('\n'));
  assert.match(drawings.at(-1) ?? '', /^archiving: 500 of 1,000 records \(50%\), 100\/s, 5\.0 s left/);
});

test('a narrow screen gets what fits into one line', () => {
  const [output, clock] = [new RecordedOutput({ columns: 24 }), new HandClock()];
  const progress = new Progress(records, output, clock);
  clock.nowMs = 1000;
  progress.update(1000, 1_000_000);
  assert.equal(output.text, '\rarchiving: 1,000 of 1,0');
});

test('a terminal that says it has no columns is taken for one of eighty', () => {
  const [output, clock] = [new RecordedOutput({ columns: 0 }), new HandClock()];
  const progress = new Progress(records, output, clock);
  clock.nowMs = 1000;
  progress.update(500, 1000);
  assert.equal(output.text.length, 1 + 79);
  assert.match(output.text, /archiving: 500 of 1,000 records \(50%\), 500\/s, 1\.0 s left \[#+\.+\]$/);
});

test('the bar fills with the share that is done', () => {
  const [output, clock] = [new RecordedOutput({ columns: 120 }), new HandClock()];
  const progress = new Progress(records, output, clock);
  clock.nowMs = 1000;
  progress.update(250, 1000);
  const bar = /\[(#*)(\.*)\]/.exec(output.text);
  assert.deepEqual([bar?.[1]?.length, bar?.[2]?.length], [7, 21]);
});

test('steps between two drawings are silent', () => {
  const [output, clock] = [new RecordedOutput({ columns: 80 }), new HandClock()];
  const progress = new Progress(records, output, clock);
  for (let step = 0; step < 1000; step++) progress.update(step, 1000);
  assert.equal(output.text, '');
  clock.nowMs = 100;
  progress.update(1000, 1000);
  assert.equal(output.chunks.length, 1);
});

test('a shorter drawing leaves nothing of the longer one, and clear leaves nothing at all', () => {
  const [output, clock] = [new RecordedOutput({ columns: 80 }), new HandClock()];
  const progress = new Progress(records, output, clock);
  clock.nowMs = 100;
  progress.update(1, undefined, 'a long note on what goes on');
  const long = output.chunks[0]?.length ?? 0;
  clock.nowMs = 200;
  progress.update(2);
  assert.equal(output.chunks[1]?.length, long);
  progress.clear();
  assert.match(output.chunks[2]?.toString() ?? '', /^\r +\r$/);
});

test('the rate follows what happens now, not the mean since the start', () => {
  const [output, clock] = [new RecordedOutput(), new HandClock()];
  const progress = new Progress(records, output, clock);
  let done = 0;
  for (let second = 1; second <= 20; second++) {
    clock.nowMs = second * 1000;
    done += second <= 10 ? 1000 : 10;
    progress.update(done);
  }
  const lines = output.text.trimEnd().split('\n');
  assert.match(lines[1] ?? '', / 1,000\/s$/);
  assert.match(lines[3] ?? '', / 10\/s$/);
});

test('bytes are shown as sizes, and an unknown total shows no share and no time left', () => {
  const [output, clock] = [new RecordedOutput(), new HandClock()];
  const progress = new Progress({ label: 'verify', unit: 'bytes' }, output, clock);
  clock.nowMs = 5000;
  progress.update(50 * 1024 * 1024, undefined, '1 damaged');
  assert.equal(output.text, 'verify: 50 MiB, 10 MiB/s, 1 damaged\n');
});

test('an end without any time or step divides by nothing', () => {
  const [output, clock] = [new RecordedOutput(), new HandClock()];
  new Progress(records, output, clock).end();
  assert.equal(output.text, 'archiving: 0 records in 0 ms\n');
});
