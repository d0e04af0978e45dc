import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type LogFields, silentLogger } from '../../src/base/logger.ts';
import { Scrubber } from '../../src/service/scrubber.ts';
import { lastScrubFile, readLastSuccess } from '../../src/shard/last-success.ts';
import { openShard, put, settled, turns } from '../shard/shard-harness.ts';
import { ManualClock } from '../simulation/manual-clock.ts';
import type { SimulatedDisk } from '../simulation/simulated-disk.ts';

const intervalS = 1000;

/** A shard with sealed sections, closed. */
async function usedShard(): Promise<SimulatedDisk> {
  const { shard, disk, clock } = await openShard();
  for (let index = 0; index < 20; index++) {
    await settled(shard.put(put(`p${index}`, { [`k${index}`]: 'x'.repeat(60) })), clock);
  }
  await settled(shard.close(), clock);
  return disk;
}

class Site {
  readonly disk: SimulatedDisk;
  readonly clock: ManualClock;
  readonly scrubber: Scrubber;
  readonly events: { readonly event: string; readonly fields: LogFields }[] = [];
  readonly parts: string[] = [];
  bytes = 0;

  constructor(disk: SimulatedDisk, clock = new ManualClock(), interval = intervalS) {
    this.disk = disk;
    this.clock = clock;
    const note = (fields: LogFields, event: string): void => void this.events.push({ event, fields });
    this.scrubber = new Scrubber(
      { intervalS: interval, bytesPerS: 1e9 },
      {
        ...{ disk, clock, logger: { ...silentLogger, info: note, warn: note, error: note } },
        read: (bytes) => {
          this.bytes += bytes;
        },
        found: ({ part }) => this.parts.push(part),
      },
    );
  }

  /** Lets so much time pass, step by step, with all that it brings about. */
  async pass(seconds: number): Promise<void> {
    const endMs = this.clock.monotonicMs() + seconds * 1000;
    for (;;) {
      await turns(20);
      const leftMs = endMs - this.clock.monotonicMs();
      this.clock.advance(Math.min(leftMs, this.clock.nextTimerMs ?? leftMs));
      if (leftMs === 0) break;
    }
    await turns(20);
  }

  count(event: string): number {
    return this.events.filter((each) => each.event === event).length;
  }
}

describe('the scrubber', () => {
  test('scrubs a while after the start, then once an interval, and keeps the time', async () => {
    const site = new Site(await usedShard());
    await site.scrubber.start();
    assert.equal(site.scrubber.lastSuccessS, 0);
    await site.pass(59);
    assert.equal(site.bytes, 0);
    await site.pass(2);
    assert.equal(site.count('scrub-done'), 1);
    assert.ok(site.bytes > 0);
    const first = site.clock.wallMs();
    assert.ok(Math.abs((site.scrubber.lastSuccessS ?? 0) * 1000 - first) < 2000);
    assert.equal(await readLastSuccess(site.disk, lastScrubFile), (site.scrubber.lastSuccessS ?? 0) * 1000);
    await site.pass(intervalS - 10);
    assert.equal(site.count('scrub-done'), 1);
    await site.pass(20);
    assert.equal(site.count('scrub-done'), 2);
    await site.scrubber.stop();
    assert.equal(site.clock.pendingTimers, 0);
    assert.deepEqual(site.disk.openHandles, []);
  });

  test('after a restart waits for what is left of the interval', async () => {
    const disk = await usedShard();
    const first = new Site(disk);
    await first.scrubber.start();
    await first.pass(70);
    await first.scrubber.stop();
    const second = new Site(disk, first.clock);
    await second.scrubber.start();
    assert.equal(second.scrubber.lastSuccessS, first.scrubber.lastSuccessS);
    await second.pass(intervalS - 70);
    assert.equal(second.count('scrub-done'), 0);
    await second.pass(70);
    assert.equal(second.count('scrub-done'), 1);
    await second.scrubber.stop();
  });

  test('logs damage with its place, counts it, does not call it a success, and goes on', async () => {
    const disk = await usedShard();
    const [path = ''] = disk.files().filter((name) => name.startsWith('value/'));
    disk.mutate(path, (bytes) => {
      bytes[30] = (bytes[30] ?? 0) ^ 1;
      return bytes;
    });
    const site = new Site(disk);
    await site.scrubber.start();
    await site.pass(70);
    const [damage] = site.events;
    assert.equal(damage?.event, 'scrub-damage');
    assert.partialDeepStrictEqual(damage.fields, { part: 'value', file: path });
    assert.match(String(damage.fields.problem), new RegExp(`^${path} at \\d+: value of`));
    assert.deepEqual([site.parts, site.count('scrub-found-damage'), site.count('scrub-done')], [['value'], 1, 0]);
    assert.equal(site.scrubber.lastSuccessS, 0);
    await site.pass(intervalS);
    assert.equal(site.count('scrub-found-damage'), 2);
    await site.scrubber.stop();
  });

  test('tries again after an interval when the shard cannot tell its sections', async () => {
    const disk = await usedShard();
    const whole = disk.bytesOf('sections');
    disk.mutate('sections', () => undefined);
    const site = new Site(disk);
    await site.scrubber.start();
    await site.pass(70);
    assert.equal(site.count('scrub-failed'), 1);
    disk.place('sections', whole);
    await site.pass(intervalS);
    assert.equal(site.count('scrub-done'), 1);
    await site.scrubber.stop();
  });

  test('does nothing with an interval of 0, and knows no success', async () => {
    const site = new Site(await usedShard(), new ManualClock(), 0);
    await site.scrubber.start();
    assert.equal(site.scrubber.lastSuccessS, undefined);
    assert.equal(site.clock.pendingTimers, 0);
    await site.scrubber.stop();
  });

  test('waits a year as well as a minute', async () => {
    const site = new Site(await usedShard(), new ManualClock(), 365 * 24 * 3600);
    await site.scrubber.start();
    await site.pass(61);
    assert.equal(site.count('scrub-done'), 1);
    assert.ok((site.clock.nextTimerMs ?? 0) <= 24 * 3_600_000);
    await site.pass(365 * 24 * 3600 + 1);
    assert.equal(site.count('scrub-done'), 2);
    await site.scrubber.stop();
  });
});
