import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { headerSize } from '../../src/blob/header.ts';
import { type ScrubFinding, type ScrubReport, scrubShard } from '../../src/shard/scrub.ts';
import { ManualClock } from '../simulation/manual-clock.ts';
import type { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { openShard, put, settled } from './shard-harness.ts';

/** A shard with several sealed sections, closed. */
async function usedShard(): Promise<SimulatedDisk> {
  const { shard, disk, clock } = await openShard();
  for (let index = 0; index < 30; index++) {
    await settled(shard.put(put(`p${index}`, { [`k${index}`]: 'x'.repeat(60) })), clock);
  }
  await settled(shard.close(), clock);
  return disk;
}

interface Scrubbed extends ScrubReport {
  readonly findings: readonly ScrubFinding[];
  readonly tookMs: number;
}

async function scrub(disk: SimulatedDisk, bytesPerS = 1e9): Promise<Scrubbed> {
  const clock = new ManualClock();
  const findings: ScrubFinding[] = [];
  let readBytes = 0;
  const running = scrubShard(disk, {
    clock,
    bytesPerS,
    signal: new AbortController().signal,
    read: (bytes) => {
      readBytes += bytes;
    },
    damaged: (finding) => findings.push(finding),
  });
  const report = await settled(running, clock);
  assert.equal(report.bytes, readBytes);
  assert.equal(report.damageCount, findings.length);
  assert.deepEqual(disk.openHandles, []);
  assert.equal(clock.pendingTimers, 0);
  return { ...report, findings, tookMs: clock.monotonicMs() };
}

function sealedFiles(disk: SimulatedDisk): readonly string[] {
  const sections = disk.bytesOf('sections').toString().trim().split('\n').length;
  return disk.files().filter((path) => /^(key|value)\//.test(path) && Number.parseInt(path.slice(-16), 16) < sections);
}

describe('a scrub', () => {
  test('reads every sealed section, writes nothing, and finds nothing in sound ones', async () => {
    const disk = await usedShard();
    const before = disk.snapshot();
    const { sectionCount, complete, findings, bytes } = await scrub(disk);
    assert.deepEqual([findings, complete], [[], true]);
    assert.ok(sectionCount >= 3);
    assert.ok(bytes > 25 * 120);
    assert.deepEqual(disk.snapshot(), before);
  });

  test('finds a flipped bit wherever it counts in a sealed section, names the file, and reads on', async () => {
    const whole = await usedShard();
    for (const path of sealedFiles(whole)) {
      const { length } = whole.bytesOf(path);
      for (let at = headerSize; at < length; at += 11) {
        const disk = whole.clone();
        disk.mutate(path, (bytes) => {
          bytes[at] = (bytes[at] ?? 0) ^ 4;
          return bytes;
        });
        const { findings, complete, sectionCount } = await scrub(disk);
        assert.ok(complete && sectionCount >= 3);
        if (findings.length === 0) {
          // Behind the last record of a page, and in a checksum that a newer one has replaced, no byte counts.
          assert.ok(path.startsWith('key/'), `${path} at ${at}`);
          continue;
        }
        assert.ok(
          findings.every(({ file, problem }) => file === path && problem.includes(path)),
          JSON.stringify(findings),
        );
        assert.ok(findings.every(({ part }) => path.startsWith(part)));
      }
    }
  });

  test('finds a file that is missing, shorter, longer or of another section', async () => {
    const whole = await usedShard();
    const paths = sealedFiles(whole);
    for (const path of paths) {
      const other = paths.find((each) => each !== path && each.split('/')[0] === path.split('/')[0]) ?? '';
      const changes = [
        () => undefined,
        (bytes: Buffer) => bytes.subarray(0, bytes.length - 20),
        (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(7)]),
        () => whole.bytesOf(other),
      ];
      for (const [index, change] of changes.entries()) {
        const disk = whole.clone();
        disk.mutate(path, change);
        assert.ok((await scrub(disk)).findings.length > 0, `${path}, change ${index}`);
      }
    }
  });

  test('leaves the growing section alone', async () => {
    const disk = await usedShard();
    const sealed = sealedFiles(disk);
    const growing = disk.files().filter((path) => /^(key|value)\//.test(path) && !sealed.includes(path));
    assert.equal(growing.length, 2);
    for (const path of growing) disk.mutate(path, () => Buffer.from('garbage'));
    assert.deepEqual((await scrub(disk)).findings, []);
  });

  test('takes as long as its rate says', async () => {
    const disk = await usedShard();
    const { bytes, tookMs } = await scrub(disk, 1000);
    assert.ok(Math.abs(tookMs - bytes) < 1, `${bytes} bytes at 1000 a second took ${tookMs} ms`);
  });

  test('ends at once when it is told to, and says that it is not complete', async () => {
    const disk = await usedShard();
    const stop = new AbortController();
    const report = await scrubShard(disk, {
      clock: new ManualClock(),
      bytesPerS: 1,
      signal: stop.signal,
      read: () => stop.abort(),
      damaged: () => assert.fail('nothing is damaged'),
    });
    assert.deepEqual([report.complete, report.sectionCount], [false, 0]);
    assert.deepEqual(disk.openHandles, []);
  });
});
