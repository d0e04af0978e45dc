import assert from 'node:assert/strict';
import { beforeEach, suite, test } from 'node:test';
import { silentLogger } from '../../src/base/logger.ts';
import { Intake } from '../../src/queue/intake.ts';
import { ThrottledLog } from '../../src/queue/throttled-log.ts';
import { ManualClock } from '../simulation/manual-clock.ts';

suite('intake', () => {
  let clock: ManualClock;
  let calls: string[];
  let intake: Intake;

  beforeEach(() => {
    clock = new ManualClock();
    calls = [];
    const worker = {
      pause: async () => void calls.push('pause'),
      resume: async () => void calls.push('resume'),
    };
    intake = new Intake(worker, { clock, logger: silentLogger, log: new ThrottledLog(silentLogger, clock) });
  });

  test('resumes only when the last reason is gone', () => {
    intake.pause('low-disk');
    intake.pause('shard');
    intake.pause('low-disk');
    intake.resume('low-disk');
    assert.deepEqual(calls, ['pause']);
    intake.resume('shard');
    intake.resume('shard');
    assert.deepEqual(calls, ['pause', 'resume']);
  });

  test('rests a while when Redis cannot work, longer each time, and no longer than five seconds', () => {
    const rests: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      intake.report(new Error('OOM command not allowed'));
      intake.report(new Error('OOM command not allowed'));
      rests.push(clock.nextTimerMs ?? 0);
      clock.advance(rests.at(-1) ?? 0);
    }
    assert.deepEqual(rests, [1000, 2000, 4000, 5000, 5000]);
    assert.equal(calls.length, 10);
    clock.advance(60_000);
    intake.report(new Error('MISCONF Redis is configured to save RDB snapshots'));
    assert.equal(clock.nextTimerMs, 1000, 'after a calm the first rest is short again');
  });

  test('does not rest for errors that pass by themselves', () => {
    intake.report(new Error('Missing lock for job 7. moveToFinished'));
    intake.report(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }));
    assert.deepEqual([calls, clock.pendingTimers], [[], 0]);
  });

  test('changes nothing after it was stopped', () => {
    intake.report(new Error('READONLY You cannot write against a read only replica'));
    intake.stop();
    clock.advance(60_000);
    intake.pause('shard');
    intake.resume('redis');
    assert.deepEqual([calls, clock.pendingTimers], [['pause'], 0]);
  });
});
