import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { directoryLock } from '../../src/shard/owner-lock.ts';
import { Shard } from '../../src/shard/shard.ts';
import { prepareShardDirectory } from '../../src/shard/shard-directory.ts';
import { put, textOf, tinySettings } from './shard-harness.ts';

describe('a shard in a real directory', () => {
  let root = '';

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'permafrost-shard-'));
  });

  afterEach(() => rmSync(root, { recursive: true }));

  test('has its directory made with everything above it, however often it is asked for', async () => {
    const directory = join(root, 'data', 'archive', 'shard-0000');
    await prepareShardDirectory(directory);
    await prepareShardDirectory(directory);
    assert.ok(statSync(directory).isDirectory());
  });

  test('finds after an opening what was put before, and is nobody else’s meanwhile', async () => {
    const directory = join(root, 'shard-0000');
    const open = async (): Promise<Shard> => {
      const disk = await prepareShardDirectory(directory);
      const lock = directoryLock(directory);
      const deps = { disk, lock, clock: systemClock, logger: silentLogger, published: undefined };
      return Shard.open(deps, { ...tinySettings, commitDelayMs: 0 });
    };
    const shard = await open();
    await Promise.all(
      Array.from({ length: 50 }, (_, index) => shard.put(put(`p${index}`, { [`k${index}`]: `${index}` }))),
    );
    await assert.rejects(open(), { code: 'owned' });
    assert.deepEqual(await shard.close(), { clean: true });
    const again = await open();
    for (let index = 0; index < 50; index++) assert.equal(await textOf(again, `k${index}`), `=${index}`);
    await again.close();
  });
});
