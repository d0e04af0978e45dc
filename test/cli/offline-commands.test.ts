import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { archive, contentOf, damage, emptyDirectory, openShard, run, secret } from './offline-archive.ts';

test('inspect shows the state and the first records, and no value', async (context) => {
  const dataDir = await archive(context);
  const { status, text, notes } = await run(dataDir, ['inspect', '--sample', '3']);
  assert.equal(status, 0, notes);
  assert.match(text, /^Checkpoint +epoch \d+ of .*, closed cleanly$/m);
  assert.match(text, /^Records +40 at the checkpoint, all versions$/m);
  assert.match(text, /^First +"key\/0", 14 B, /m);
  assert.ok(text.includes('"key/2"') && !text.includes('"key/3"'));
  assert.ok(!text.includes(secret));
  const { text: json } = await run(dataDir, ['inspect', '--json', '--sample', '1']);
  assert.partialDeepStrictEqual(JSON.parse(json), { recordCount: 40, sample: [{ key: 'key/0', payloadBytes: 14 }] });
});

test('verify finds a sound shard sound and ends with 0', async (context) => {
  const { status, text, notes } = await run(await archive(context), ['verify']);
  assert.equal(status, 0, text + notes);
  assert.match(text, /^Read +40 records in one section, /m);
  assert.match(text, /^Verdict +sound/m);
});

test('verify names a flipped bit by file and place, and ends with 1', async (context) => {
  const dataDir = await archive(context);
  await damage(dataDir);
  const { status, text } = await run(dataDir, ['verify']);
  assert.equal(status, 1);
  assert.match(text, /^DAMAGED .*value\/\S+/m);
  assert.match(text, /^Verdict +\d+ problems; restore/m);
  const report = JSON.parse((await run(dataDir, ['verify', '--json'])).text);
  assert.ok(report.problemCount > 0 && report.recordCount === 39, JSON.stringify(report));
});

test('salvage copies all but the damaged record into a sound shard, names the loss and only reads the old one', async (context) => {
  const dataDir = await archive(context);
  await damage(dataDir);
  const before = await contentOf(join(dataDir, 'shard-0000'));
  const target = await emptyDirectory(context);
  const { status, text, notes } = await run(dataDir, ['salvage', target]);
  assert.equal(status, 1, notes);
  assert.match(text, /^39 records copied to .*shard-0000, 1 losses; instance /);
  assert.match(notes, /^LOST .*value\/\S+ at \d+/m);
  assert.deepEqual(await contentOf(join(dataDir, 'shard-0000')), before);
  assert.match((await run(target, ['verify'])).text, /^Read +39 records[\s\S]*^Verdict +sound/m);
  const again = await run(dataDir, ['salvage', target]);
  assert.equal(again.status, 3);
  assert.match(again.notes, /must be empty.*volume-foreign/);
});

test('salvage into the shard itself is refused before anything is opened', async (context) => {
  const dataDir = await archive(context);
  const { status, notes } = await run(dataDir, ['salvage', join(dataDir, 'below', '..')]);
  assert.equal(status, 2);
  assert.match(notes, /needs another directory/);
});

test('a directory without a shard is refused, and none is created there', async (context) => {
  const dataDir = await emptyDirectory(context);
  for (const words of [['verify'], ['inspect'], ['salvage', join(dataDir, 'copy')]]) {
    const { status, notes } = await run(dataDir, words);
    assert.equal(status, 3, words.join(' '));
    assert.match(notes, /there is no shard in .*shard-0000.*--data-dir/);
  }
  assert.deepEqual(await readdir(dataDir), []);
});

test('verify and salvage are refused while a worker owns the shard; inspect is not', async (context) => {
  const dataDir = await archive(context);
  const owner = await openShard(dataDir);
  try {
    for (const words of [['verify'], ['salvage', join(dataDir, 'copy')]]) {
      const { status, notes } = await run(dataDir, words);
      assert.equal(status, 3, words.join(' '));
      assert.match(notes, new RegExp(`owned by process ${process.pid}.*\\(owned\\)`));
    }
    assert.equal((await run(dataDir, ['inspect'])).status, 0);
  } finally {
    await owner.close();
  }
});

test('an interrupted verify ends with 130', async (context) => {
  const dataDir = await archive(context);
  const { status, text } = await run(dataDir, ['verify'], AbortSignal.abort());
  assert.deepEqual([status, text], [130, '']);
});

test('a salvage that is interrupted before it begins makes nothing', async (context) => {
  const dataDir = await archive(context);
  const target = await emptyDirectory(context);
  const { status, notes } = await run(dataDir, ['salvage', target], AbortSignal.abort());
  assert.equal(status, 130, notes);
  assert.deepEqual(await readdir(target), []);
});

test('a shard of another archive is refused by verify as a problem', async (context) => {
  const { status, text } = await run(await archive(context), ['verify', '--archive', 'other']);
  assert.equal(status, 1);
  assert.match(text, /archive/);
});
