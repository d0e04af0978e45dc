import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isMutating } from '../simulation/gate.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { FakeLock, openShard, put, settled, textOf, tinyEngine, turns } from './shard-harness.ts';

const others = '22222222-2222-4222-8222-222222222222';

/** A shard with two records that was closed cleanly, at epoch 2. */
async function closedShard(): Promise<{ disk: SimulatedDisk; instance: string; epoch: number }> {
  const { shard, disk, clock } = await openShard();
  await settled(shard.put(put('p1', { a: '1', b: '2' })), clock);
  await settled(shard.close(), clock);
  return { disk, instance: shard.instance, epoch: shard.checkpoint.epoch };
}

async function refused(
  disk: SimulatedDisk,
  code: string,
  options: Parameters<typeof openShard>[1] = {},
  published?: { instance: string; epoch: number },
): Promise<void> {
  const before = disk.snapshot();
  await assert.rejects(openShard(disk, options, { published }), { code });
  assert.deepEqual(disk.snapshot(), before, 'not one byte was changed');
  assert.deepEqual(disk.openHandles, []);
}

describe('opening a shard', () => {
  test('makes one in an empty directory', async () => {
    const { shard } = await openShard();
    assert.match(shard.instance, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(shard.checkpoint.epoch, 1);
    await shard.close();
  });

  test('takes up a local checkpoint that Redis knows nothing of, or is behind of, or agrees with', async () => {
    const { disk, instance, epoch } = await closedShard();
    for (const published of [undefined, { instance, epoch: epoch - 1 }, { instance, epoch }]) {
      const { shard } = await openShard(disk.clone(), {}, { published });
      assert.equal(await textOf(shard, 'a'), '=1');
      await shard.close();
    }
  });

  test('refuses a volume that was rolled back, is empty, or is another one', async () => {
    const { disk, instance, epoch } = await closedShard();
    await refused(disk, 'volume-rolled-back', {}, { instance, epoch: epoch + 1 });
    await refused(disk, 'volume-foreign', {}, { instance: others, epoch: 1 });
    await refused(new SimulatedDisk(), 'volume-empty', {}, { instance, epoch });
  });

  test('takes no lock, whose file would be the first, in an empty directory that it refuses', async () => {
    const disk = new SimulatedDisk();
    const lock = { acquire: () => assert.fail('the lock was taken') };
    const published = { instance: others, epoch: 1 };
    await assert.rejects(openShard(disk, {}, { lock, published }), { code: 'volume-empty' });
  });

  test('gives every handle back when any operation of it fails', async () => {
    const { disk: closed } = await closedShard();
    const { shard, disk, clock } = await openShard();
    await settled(shard.put(put('p1', { a: '1' })), clock);
    const volumes = { empty: new SimulatedDisk(), closed, killed: disk.crash('all') };
    for (const [name, volume] of Object.entries(volumes)) {
      for (let step = 1, failed = ''; step === 1 || failed !== ''; step++) {
        failed = '';
        const tried = volume.clone();
        let count = 0;
        tried.failAt((operation) => {
          if (operation.kind === 'close' || ++count !== step) return false;
          failed = `${operation.kind} ${operation.path}`;
          return true;
        }, 'eio');
        const opened = await openShard(tried).catch(() => undefined);
        if (opened !== undefined) await settled(opened.shard.close(), opened.clock);
        assert.deepEqual(tried.openHandles, [], `${name}: ${failed}`);
      }
    }
    await settled(shard.close(), clock);
  });

  test('goes on with --trust-volume where only Redis objects', async () => {
    const { disk, instance, epoch } = await closedShard();
    const { shard } = await openShard(disk, { trustVolume: true }, { published: { instance, epoch: epoch + 5 } });
    assert.equal(await textOf(shard, 'a'), '=1');
    await shard.close();
  });

  test('refuses files without a checkpoint or identity, and names the salvage command', async () => {
    for (const missing of ['checkpoint', 'identity.json']) {
      const { disk } = await closedShard();
      disk.mutate(missing, () => undefined);
      await refused(disk, 'checkpoint-missing');
      await assert.rejects(openShard(disk), { message: /permafrost salvage/ });
    }
  });

  test('refuses when commit mark or section manifest are missing', async () => {
    for (const missing of ['commit-mark', 'sections']) {
      const { disk } = await closedShard();
      disk.mutate(missing, () => undefined);
      await refused(disk, 'damaged');
    }
  });

  test('refuses a checkpoint without a readable slot, and falls back when one is readable', async () => {
    const { disk } = await closedShard();
    const halves = disk.clone();
    halves.mutate('checkpoint', (bytes) => bytes.fill(0, 0, 4096));
    const { shard } = await openShard(halves);
    assert.equal(await textOf(shard, 'b'), '=2');
    await shard.close();
    disk.mutate('checkpoint', (bytes) => bytes.fill(0));
    await refused(disk, 'damaged');
  });

  test('refuses a configuration that is not the directory of', async () => {
    const { disk } = await closedShard();
    await refused(disk, 'identity-mismatch', { archive: 'another' });
    await refused(disk, 'identity-mismatch', { shard: 1 });
    await refused(disk, 'identity-mismatch', { engine: { ...tinyEngine, pageSize: 512 } });
    await refused(disk, 'identity-mismatch', { engine: { ...tinyEngine, compression: 3 } });
  });

  test('refuses the identity of another shard of the same archive and number', async () => {
    const { disk } = await closedShard();
    const { disk: another } = await closedShard();
    disk.place('identity.json', another.bytesOf('identity.json'));
    await refused(disk, 'damaged');
  });

  test('refuses settings that would stand still', async () => {
    await assert.rejects(openShard(undefined, { commitRecordsMax: 0 }), { code: 'invalid-settings' });
    await assert.rejects(openShard(undefined, { syncIntervalMs: -1 }), { code: 'invalid-settings' });
    await assert.rejects(openShard(undefined, { engine: { ...tinyEngine, tableInitialSize: 3 } }), {
      code: 'invalid-settings',
    });
  });

  test('gives the lock back when it is refused', async () => {
    const { disk } = await closedShard();
    disk.mutate('checkpoint', () => undefined);
    const lock = new FakeLock();
    await assert.rejects(openShard(disk, {}, { lock }));
    assert.equal(lock.held, false);
  });
});

describe('the clean mark', () => {
  test('is cleared durably before the first write to any file of the freezer', async () => {
    const { disk } = await closedShard();
    const { shard, clock } = await openShard(disk);
    await settled(shard.put(put('p2', { a: '3' })), clock);
    const steps = disk.log.filter(({ kind }) => isMutating(kind));
    const opened = steps.slice(steps.findLastIndex(({ path, kind }) => path === 'sections' && kind === 'truncate'));
    const first = opened.findIndex(({ path }) => /^(key|value|table)/.test(path));
    const cleared = opened.slice(0, first).filter(({ path }) => path === 'checkpoint');
    assert.deepEqual(
      cleared.map(({ kind }) => kind),
      ['write', 'sync'],
    );
    await settled(shard.close(), clock);
  });

  test('saves the scan of the table, and only it', async () => {
    const { disk } = await closedShard();
    const scanned = async (start: SimulatedDisk): Promise<boolean> => {
      let phases = 0;
      const { shard } = await openShard(start, {}, { hooks: { onProgress: () => phases++ } });
      assert.equal(await textOf(shard, 'a'), '=1');
      await shard.close();
      return phases > 0;
    };
    assert.equal(await scanned(disk.clone()), false, 'closed cleanly');

    const killed = disk.clone();
    await openShard(killed);
    assert.equal(await scanned(killed.crash('all')), true, 'killed');

    const otherSlot = disk.clone();
    const newest =
      disk.bytesOf('checkpoint').readUInt32BE(12) > disk.bytesOf('checkpoint').readUInt32BE(4096 + 12) ? 0 : 4096;
    otherSlot.mutate('checkpoint', (bytes) => bytes.fill(0, 4096 - newest, 8192 - newest));
    assert.equal(await scanned(otherSlot), true, 'the unreadable slot may have cleared it');

    let phases = 0;
    const engine = { ...tinyEngine, tableResizeFrequency: 3 };
    const { shard } = await openShard(disk.clone(), { engine }, { hooks: { onProgress: () => phases++ } });
    await shard.close();
    assert.ok(phases > 0, 'the count of another resize frequency');
  });

  test('leaves an idle shard at the same epoch', async () => {
    const { disk, epoch } = await closedShard();
    const { shard, clock } = await openShard(disk);
    clock.advance(100_000);
    await turns();
    assert.equal(shard.checkpoint.epoch, epoch);
    await shard.close();
  });
});

test('an opening that was interrupted at any point of a creation begins anew', async () => {
  const { disk: rehearsal, shard } = await openShard();
  const steps = rehearsal.steps;
  await shard.close();
  assert.ok(steps > 20);
  for (let step = 1; step <= steps; step++) {
    for (const survival of ['synced', 'all', { seed: step }] as const) {
      const disk = new SimulatedDisk();
      disk.failAt(step, 'crash');
      await assert.rejects(openShard(disk));
      const again = await openShard(disk.crash(survival));
      await settled(again.shard.put(put('p1', { a: '1' })), again.clock);
      assert.equal(await textOf(again.shard, 'a'), '=1');
      await again.shard.close();
    }
  }
});

test('a creation that was interrupted is not begun anew where there are sections', async () => {
  const interrupted = new SimulatedDisk();
  interrupted.failAt(({ kind, path }) => kind === 'create' && path.startsWith('table/'), 'crash');
  await assert.rejects(openShard(interrupted));
  for (const partition of ['key', 'value']) {
    const disk = interrupted.crash('all');
    await disk.makeDirectory(partition);
    disk.place(`${partition}/0000000000000000`, Buffer.from('records'));
    await refused(disk, 'damaged');
  }
});

describe('opening after a kill', () => {
  const roomyEngine = { ...tinyEngine, valueTargetSize: 100_000, tableInitialSize: 64, tableResizeFrequency: 200 };

  /** Four commits behind the checkpoint, each of one record with a payload of its own letter. */
  async function killed(): Promise<SimulatedDisk> {
    const { shard, disk, clock } = await openShard(undefined, { engine: roomyEngine });
    for (const letter of ['A', 'B', 'C', 'D']) {
      await settled(shard.put(put(letter, { [letter]: letter.repeat(30) })), clock);
    }
    assert.equal(shard.checkpoint.epoch, 1);
    return disk.crash('all');
  }

  function rot(disk: SimulatedDisk, letter: string): void {
    disk.mutate('value/0000000000000000', (bytes) => {
      bytes[bytes.indexOf(letter.repeat(30)) + 5] = 0x21;
      return bytes;
    });
  }

  test('finds every commit behind the checkpoint, and sits at a new checkpoint at once', async () => {
    const { shard } = await openShard(await killed(), { engine: roomyEngine });
    for (const letter of ['A', 'B', 'C', 'D']) assert.equal(await textOf(shard, letter), `=${letter.repeat(30)}`);
    assert.equal(shard.checkpoint.epoch, 2);
    assert.equal(shard.checkpoint.records, 4);
    await shard.close();
  });

  test('takes back the line of a rollover that was interrupted, and rolls over again', async () => {
    const { shard, disk, clock } = await openShard();
    disk.failAt(({ kind, path }) => kind === 'create' && /^(?:key|value).*1$/.test(path), 'crash');
    const filling = [1, 2, 3].map((number) => shard.put(put(`p${number}`, { [`k${number}`]: 'x'.repeat(500) })));
    for (const pending of filling) pending.catch(() => {});
    await assert.rejects(settled(Promise.all(filling), clock));
    const left = disk.crash('all');
    assert.ok(left.bytesOf('sections').length > 0, 'the line is there');
    assert.deepEqual(await left.list('value'), ['0000000000000000']);
    const again = await openShard(left);
    for (const number of [4, 5, 6]) {
      await settled(again.shard.put(put(`p${number}`, { [`k${number}`]: 'x'.repeat(500) })), again.clock);
    }
    assert.equal(again.shard.state, 'open');
    await settled(again.shard.close(), again.clock);
  });

  test('refuses when something below the commit mark is missing, and changes nothing', async () => {
    for (const letter of ['A', 'B', 'C']) {
      const disk = await killed();
      rot(disk, letter);
      await refused(disk, 'corruption', { engine: roomyEngine });
    }
  });

  test('cuts a torn tail beyond the commit mark', async () => {
    const disk = await killed();
    rot(disk, 'D');
    const { shard } = await openShard(disk, { engine: roomyEngine });
    assert.deepEqual([await textOf(shard, 'C'), await textOf(shard, 'D')], [`=${'C'.repeat(30)}`, 'missing']);
    await shard.close();
  });

  test('does not take a new shard with one rotten slot for an interrupted creation', async () => {
    for (const slotAt of [0, 4096]) {
      const disk = await killed();
      disk.mutate('checkpoint', (bytes) => bytes.fill(0, slotAt, slotAt + 100));
      const { shard } = await openShard(disk, { engine: roomyEngine });
      assert.equal(await textOf(shard, 'A'), `=${'A'.repeat(30)}`);
      await shard.close();
    }
  });
});
