import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Freezer } from '../../src/freezer/freezer.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { smallSettings } from './keeper.ts';

for (const valueCompression of [undefined, 3]) {
  const how = valueCompression === undefined ? 'without compression' : 'with compression';

  test(`puts that are not awaited are applied in the order of their calls, ${how}`, async () => {
    const settings = {
      ...smallSettings,
      keyWriteBuffer: 1 << 20,
      valueWriteBuffer: 1 << 20,
      valueTargetSize: 1 << 30,
      valueCompression,
    };
    const key = Buffer.alloc(8, 1);
    for (let run = 0; run < 20; run++) {
      const freezer = await Freezer.open(new SimulatedDisk(), settings, { kind: 'create' });
      const puts = [freezer.put(key, Buffer.alloc(200_000, 1)), freezer.put(key, Buffer.from('newest'))];
      const commit = freezer.commit();
      await Promise.all(puts);
      assert.deepEqual(await commit, freezer.end, 'a commit covers the puts that were called before it');
      assert.equal(Buffer.from((await freezer.get({ key })) ?? []).toString(), 'newest');
      await freezer.release();
    }
  });
}
