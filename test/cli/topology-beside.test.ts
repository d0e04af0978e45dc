import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { archive, emptyDirectory, type Result, run } from './offline-archive.ts';

interface Places {
  readonly dataDir: string;
  readonly backup: string;
  /** Where shard 0 is restored to; its data directory is not there yet. */
  readonly restored: string;
}

async function places(context: TestContext): Promise<Places> {
  const dataDir = await archive(context);
  const other = await emptyDirectory(context);
  return { dataDir, backup: join(other, 'backup'), restored: join(other, 'data', 'shard-0000') };
}

/** The numbers of shards that an archive has had, as the copy beside its shards. */
function copyOf(...shards: readonly number[]): string {
  return `${JSON.stringify({ v: 1, generations: shards.map((count, time) => ({ shards: count, time })) })}\n`;
}

async function grown(dataDir: string, ...shards: readonly number[]): Promise<void> {
  await writeFile(join(dataDir, 'topology.json'), copyOf(...shards));
}

function backedUp({ dataDir, backup }: Places): Promise<Result> {
  return run(dataDir, ['backup', '--to', backup]);
}

/** After a restore: its result, and what lies in the data directory and in the copy. */
async function restored({ backup, restored: to }: Places): Promise<Result & { readonly copy: string | undefined }> {
  const result = await run('', ['restore', '--from', backup, '--to', to]);
  const copy = await readFile(join(dirname(to), 'topology.json'), 'utf8').catch(() => undefined);
  return { ...result, copy };
}

test('a backup knows the topology, and a restore puts it beside the shard', async (context) => {
  const at = await places(context);
  await grown(at.dataDir, 1, 4);
  const copied = await backedUp(at);
  assert.equal(copied.status, 0, copied.notes);
  assert.match(copied.text, /^Topology 1, then 4 shards$/m);
  assert.match((await run(at.dataDir, ['inspect', '--path', at.backup])).text, /^Topology +1, then 4 shards$/m);
  const back = await restored(at);
  assert.equal(back.status, 0, back.notes);
  assert.equal(back.copy, copyOf(1, 4));
  assert.match(back.text, /^Topology 1, then 4 shards, in .*topology\.json$/m);
  assert.equal(back.notes, '');
  assert.deepEqual((await readdir(dirname(at.restored))).sort(), ['shard-0000', 'topology.json']);
});

test('a backup of an archive that never told its topology has none, and none is made of it', async (context) => {
  const at = await places(context);
  assert.doesNotMatch((await backedUp(at)).text, /Topology/);
  const back = await restored(at);
  assert.deepEqual([back.status, back.copy], [0, undefined]);
  assert.doesNotMatch(back.text + back.notes, /[Tt]opology/);
});

for (const [what, backedUpShards, besideShards, expected] of [
  ['less', [1, 4], [1], [1, 4]],
  ['the same', [1, 4], [1, 4], [1, 4]],
  ['more', [1, 4], [1, 4, 8], [1, 4, 8]],
  ['something else', [2], [1, 4], [2, 1, 4]],
] as const) {
  test(`a restore loses no generation where ${what} is known already`, async (context) => {
    const at = await places(context);
    await grown(at.dataDir, ...backedUpShards);
    await backedUp(at);
    await run('', ['restore', '--from', at.backup, '--to', join(dirname(at.restored), 'trial')]);
    await grown(dirname(at.restored), ...besideShards);
    const { status, copy } = await restored(at);
    assert.equal(status, 0);
    const shards = JSON.parse(String(copy)).generations.map((generation: { shards: number }) => generation.shards);
    assert.deepEqual(shards, expected);
  });
}

test('a directory with another name is taken for no part of a data directory: nothing is written above it', async (context) => {
  const at = await places(context);
  await grown(at.dataDir, 1, 4);
  await backedUp(at);
  const trial = { ...at, restored: join(dirname(at.restored), 'shard-0001') };
  const back = await restored(trial);
  assert.deepEqual([back.status, back.copy], [0, undefined]);
  assert.match(back.notes, /the topology \(1, then 4 shards\) was not written: .* lies in no data directory/);
});

test('a copy that is no topology keeps nobody from backing up and restoring, and is left as it is', async (context) => {
  const at = await places(context);
  await grown(at.dataDir, 1, 4);
  await backedUp(at);
  await writeFile(join(at.dataDir, 'topology.json'), '{"v":1,');
  const again = await backedUp(at);
  assert.equal(again.status, 0);
  assert.match(again.notes, /without a newer topology: topology\.json beside the shard is no topology: /);
  assert.match(again.text, /^Topology 1, then 4 shards$/m);
  await run('', ['restore', '--from', at.backup, '--to', join(dirname(at.restored), 'trial')]);
  await writeFile(join(dirname(at.restored), 'topology.json'), '{}');
  const back = await restored(at);
  assert.deepEqual([back.status, back.copy], [0, '{}']);
  assert.match(
    back.notes,
    /the topology \(1, then 4 shards\) was not written: topology\.json beside the shard is no topology/,
  );
});
