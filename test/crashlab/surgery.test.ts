import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { Violation } from '../../crashlab/experiment.ts';
import { RoundThread } from '../../crashlab/round-place.ts';
import { type Damages, emptiedBuckets, flippedBits, lengths, lostPages } from '../../crashlab/surgery/damages.ts';
import { surgeryExperiments } from '../../crashlab/surgery/experiments.ts';
import type { Surgeons } from '../../crashlab/surgery/operation.ts';
import { operate, surgeons } from '../../crashlab/surgery/rounds.ts';
import { closedShard, crashedShard, type Sample, sampleSettings } from '../../crashlab/surgery/sample.ts';
import { shortfallOf } from '../../crashlab/work.ts';
import { archiveKey } from '../../src/shard/engine-settings.ts';
import type { Answer } from '../../src/shard/lookup.ts';
import { openShard, textIn } from '../shard/shard-harness.ts';

const seed = 20_261_122;
const { signal } = new AbortController();

describe('an operation on the files of a shard', () => {
  const thread = new RoundThread(new URL('../../crashlab/catalogue.ts', import.meta.url));
  after(() => thread.close());

  for (const experiment of surgeryExperiments) {
    test(`${experiment.name} breaks no promise`, async (t) => {
      const directory = await mkdtemp(join(tmpdir(), 'permafrost-surgery-'));
      t.after(() => rm(directory, { recursive: true }));
      const end = await thread.run(experiment, { seed, directory, signal });
      t.diagnostic(JSON.stringify(end));
      assert.equal(end.kind, 'whole');
      assert.equal(end.kind === 'whole' ? shortfallOf(end.work, experiment.leastWork) : '', undefined);
    });
  }

  test('a section of a twin of the shard, in the place of the growing one, is refused', async (t) => {
    const experiment = surgeryExperiments.find(({ name }) => name === 'closed-moves');
    assert.ok(experiment !== undefined);
    const end = await thread.run(experiment, { seed: 1_788_307_403, directory: '', signal });
    t.diagnostic(JSON.stringify(end));
    assert.equal(end.kind, 'whole');
  });
});

describe('the surgery notices', () => {
  /** Only the damages of some files, and few of them. */
  function of(damages: Damages, pattern: RegExp): Damages {
    return async function* some(sample, random) {
      for await (const damage of damages(sample, random)) if (pattern.test(damage.what)) yield damage;
    };
  }

  async function assertNoticed(
    broken: Partial<Surgeons>,
    damages: Damages,
    pattern: RegExp,
    sample?: Sample,
  ): Promise<void> {
    const operation = { sample: sample ?? (await closedShard(seed)), damages, share: 1, surgeons };
    await operate(operation, { seed, signal });
    const operated = operate({ ...operation, surgeons: { ...surgeons, ...broken } }, { seed, signal });
    await assert.rejects(operated, (error) => error instanceof Violation && pattern.test(error.message));
  }

  /** Answers otherwise than the shard does. */
  function answering(change: (answer: Answer) => Answer | undefined): Surgeons['open'] {
    return async (disk, settings) => {
      const opened = await openShard(disk, settings);
      const { shard } = opened;
      const lookupMany: typeof shard.lookupMany = async (questions) => {
        const answers = await shard.lookupMany(questions);
        return answers.map((answer) => change(answer) ?? answer);
      };
      return { ...opened, shard: Object.assign(Object.create(shard), { lookupMany, close: () => shard.close() }) };
    };
  }

  const rottenValues = of(flippedBits, /^value\/0{16}: .* byte (1[0-4]|2.)$/);

  test('a reader that takes damage for a missing record', async () => {
    const open = answering(({ kind }) => (kind === 'corrupt' ? { kind: 'missing' } : undefined));
    await assertNoticed({ open }, rottenValues, /expected .* found missing/);
  });

  const emptiedSlots: Damages = async function* emptied(sample, random) {
    const files = sample.disk.snapshot();
    for await (const damage of lostPages(sample, random)) if (emptiedBuckets(damage, files).size > 0) yield damage;
  };

  test('a reader that has the record of another key, while slots are empty', async () => {
    let any: Answer | undefined;
    const open = answering((answer) => {
      if (answer.kind === 'found') any ??= answer;
      return answer.kind === 'found' ? any : undefined;
    });
    await assertNoticed({ open }, emptiedSlots, /expected .* found "/);
  });

  test('a reader that leaves a file open when slots are empty', async () => {
    const open: Surgeons['open'] = async (disk, settings) => {
      const opened = await openShard(disk, settings);
      await opened.disk.open('identity.json', { create: false });
      return opened;
    };
    await assertNoticed({ open }, emptiedSlots, /files were left open/);
  });

  test('a verify that skips the value files', async () => {
    const verify: Surgeons['verify'] = async (...args) => {
      const report = await surgeons.verify(...args);
      return { ...report, problems: report.problems.filter((problem) => !problem.includes('value/')) };
    };
    await assertNoticed({ verify }, rottenValues, /verify does not name it/);
  });

  test('a salvage that keeps a loss to itself', async () => {
    const salvage: Surgeons['salvage'] = (source, target, settings) =>
      surgeons.salvage(source, target, settings, () => {});
    await assertNoticed({ salvage }, rottenValues, /neither salvaged nor listed as lost/);
  });

  test('a salvage that changes the old shard', async () => {
    const salvage: Surgeons['salvage'] = async (source, ...rest) => {
      const report = await surgeons.salvage(source, ...rest);
      const file = await source.disk.open('identity.json', { create: false });
      await file.write(0, Buffer.from(' '));
      await file.close();
      return report;
    };
    await assertNoticed({ salvage }, rottenValues, /salvage changed identity\.json/);
  });

  test('an opening that cuts a crashed shard below its commit mark', async () => {
    const open: Surgeons['open'] = async (disk, settings) => {
      const [first = ''] = disk?.files().filter((path) => path.startsWith('value/')) ?? [];
      disk?.mutate(first, (bytes) => bytes.subarray(0, 20));
      return openShard(disk, settings);
    };
    const damages = of(lengths, /^identity\.json cut to 10$/);
    await assertNoticed({ open }, damages, /the refused opening changed value/, await crashedShard(seed));
  });
});

test('a lookup by cursor takes no value for the one of another key, from a shard of the same shape', async () => {
  const sample = await closedShard(seed);
  const twin = await closedShard(seed, { prefix: 'z', sizes: 'even' });
  const path = 'value/0000000000000000';
  sample.disk.place(path, twin.disk.bytesOf(path));
  const { shard } = await openShard(sample.disk, sampleSettings);
  const [record = assert.fail()] = sample.stored;
  const question = { key: record.key, storedKey: archiveKey(record.key) };
  const answers = await shard.lookupMany([{ cursor: record.cursor }, question]);
  assert.equal(textIn(answers[0]), 'corrupt');
  await shard.close();
});
