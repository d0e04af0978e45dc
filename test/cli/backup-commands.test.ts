import assert from 'node:assert/strict';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { archive, contentOf, damage, emptyDirectory, openShard, recordCount, run } from './offline-archive.ts';

interface Places {
  readonly dataDir: string;
  readonly shard: string;
  readonly backup: string;
  readonly restored: string;
}

/** A shard of a few records, and directories that are not there yet. */
async function places(context: TestContext): Promise<Places> {
  const dataDir = await archive(context);
  const other = await emptyDirectory(context);
  return {
    dataDir,
    shard: join(dataDir, 'shard-0000'),
    backup: join(other, 'backups', 'shard-0000'),
    restored: join(other, 'data', 'shard-0000'),
  };
}

test('backup and restore --verify give a shard with all records, and leave the old one as it was', async (context) => {
  const { dataDir, shard, backup, restored } = await places(context);
  const before = await contentOf(shard);
  const copied = await run(dataDir, ['backup', '--to', backup]);
  assert.equal(copied.status, 0, copied.notes);
  assert.match(copied.text, /^Backup .*: 40 records in one section, checkpoint epoch \d+ of /m);
  assert.match(copied.text, /^Copied .* in .*, 0 B were there$/m);
  const { [join(shard, 'last-backup')]: told, ...after } = await contentOf(shard);
  assert.ok(told !== undefined);
  assert.deepEqual(after, before);
  const back = await run('', ['restore', '--from', backup, '--to', restored, '--verify']);
  assert.equal(back.status, 0, back.text + back.notes);
  assert.match(back.text, /^Restored 40 records, .* of archive "main", shard 0$/m);
  assert.match(back.text, /^Verdict +sound/m);
  assert.equal(back.notes, '');
  assert.match((await run(dataDir, ['inspect', '--path', restored])).text, /^Records +40 at the checkpoint/m);
});

test('a second backup copies what is new only, also while the shard is in use, and --json says so', async (context) => {
  const { dataDir, backup } = await places(context);
  await run(dataDir, ['backup', '--to', backup]);
  const owner = await openShard(dataDir);
  try {
    const { status, text } = await run(dataDir, ['backup', '--to', backup, '--json']);
    assert.equal(status, 0);
    assert.partialDeepStrictEqual(JSON.parse(text), { recordCount, copiedBytes: 0, sectionCount: 1, to: backup });
  } finally {
    await owner.close();
  }
  assert.match((await run(dataDir, ['inspect'])).text, /^Backup +last one \d{4}-/m);
});

test('inspect tells what a backup is of', async (context) => {
  const { dataDir, backup } = await places(context);
  await run(dataDir, ['backup', '--to', backup]);
  const { status, text } = await run(dataDir, ['inspect', '--path', backup]);
  assert.equal(status, 0);
  assert.match(text, /^Backup +.*: of archive "main", shard 0, completed \d{4}-/m);
  assert.match(text, /^Records +40 in 1 sections, /m);
  const json = JSON.parse((await run(dataDir, ['inspect', '--path', backup, '--json'])).text);
  assert.partialDeepStrictEqual(json, { directory: backup, backup: { recordCount, identity: { archive: 'main' } } });
});

test('inspect does not take a backup that never ended for a damaged shard', async (context) => {
  const { dataDir, shard, backup } = await places(context);
  await damage(dataDir);
  assert.equal((await run(dataDir, ['backup', '--to', backup])).status, 1);
  const { status, notes } = await run(dataDir, ['inspect', '--path', backup]);
  assert.match(`${status} ${notes}`, /^3 .*holds no complete backup, .*\(backup-incomplete\)/);
  await rm(join(shard, 'identity.json'));
  assert.match((await run(dataDir, ['inspect'])).notes, /identity\.json: the file is missing.*\(damaged\)/);
});

test('a shard is named by its own directory too, whatever the settings say', async (context) => {
  const { dataDir, shard, backup } = await places(context);
  const other = await emptyDirectory(context);
  assert.equal((await run(other, ['backup', '--path', shard, '--to', backup, '--archive', 'other'])).status, 0);
  assert.equal((await run(other, ['verify', '--path', shard, '--archive', 'other'])).status, 0);
  assert.equal((await run(other, ['rebuild', '--path', shard, '--archive', 'other'])).status, 0);
  const salvaged = await run(other, ['salvage', join(other, 'copy'), '--path', shard, '--archive', 'other']);
  assert.equal(salvaged.status, 0, salvaged.notes);
  assert.equal((await run(dataDir, ['verify'])).status, 0);
});

test('a rotten shard ends a backup with 1 and names the place; the backup before can be restored', async (context) => {
  const { dataDir, backup, restored } = await places(context);
  await damage(dataDir);
  const first = await run(dataDir, ['backup', '--to', backup]);
  assert.equal(first.status, 1);
  assert.match(first.notes, /^DAMAGED .*value\/\S+ at \d+/m);
  const none = await run('', ['restore', '--from', backup, '--to', restored]);
  assert.equal(none.status, 3);
  assert.match(none.notes, /no complete backup.*\(backup-incomplete\)/);
});

test('a damaged backup ends a restore with 1, names the file, and leaves nothing that a worker would open', async (context) => {
  const { dataDir, backup, restored } = await places(context);
  await run(dataDir, ['backup', '--to', backup]);
  const [name = ''] = await readdir(join(backup, 'value'));
  await writeFile(join(backup, 'value', name), 'other', { flag: 'r+' });
  const { status, notes } = await run('', ['restore', '--from', backup, '--to', restored]);
  assert.equal(status, 1);
  assert.match(notes, /^DAMAGED +value\/\S+: its first \d+ bytes do not match their checksum/m);
  const opened = await run(dataDir, ['rebuild', '--path', restored]);
  assert.equal(opened.status, 3);
  assert.match(opened.notes, /orphaned.*\(checkpoint-missing\)/);
  const again = await run('', ['restore', '--from', backup, '--to', restored]);
  assert.equal(again.status, 3);
  assert.match(again.notes, /must be empty, found .*\(target-in-use\)/);
});

test('rebuild makes a table that was lost', async (context) => {
  const { dataDir, shard } = await places(context);
  await rm(join(shard, 'table'), { recursive: true });
  assert.equal((await run(dataDir, ['verify'])).status, 1);
  const { status, text, notes } = await run(dataDir, ['rebuild']);
  assert.equal(status, 0, notes);
  assert.match(text, /table of 64 buckets made from 40 records, checkpoint epoch \d+$/m);
  assert.match((await run(dataDir, ['verify'])).text, /^Verdict +sound/m);
});

test('rebuild is refused while a worker owns the shard', async (context) => {
  const { dataDir } = await places(context);
  const owner = await openShard(dataDir);
  try {
    const { status, notes } = await run(dataDir, ['rebuild']);
    assert.equal(status, 3);
    assert.match(notes, /\(owned\)/);
  } finally {
    await owner.close();
  }
});

test('what is missing on the command line, or not there, is named, and nothing is made', async (context) => {
  const { dataDir, shard, backup, restored } = await places(context);
  const missing = await run(dataDir, ['backup']);
  assert.equal(missing.status, 2);
  assert.match(missing.notes, /--to is missing: directory of the backup/);
  assert.equal((await run(dataDir, ['backup', '--to', shard])).status, 3);
  const nowhere = await run(dataDir, ['backup', '--path', restored, '--to', backup]);
  assert.equal(nowhere.status, 3);
  const noBackup = await run(dataDir, ['restore', '--from', backup, '--to', restored]);
  assert.equal(noBackup.status, 3);
  assert.match(noBackup.notes, /there is no directory .*\(unreadable-input\)/);
  for (const path of [backup, restored]) await assert.rejects(readdir(path));
});

test('an interrupted backup, restore or rebuild ends with 130 and says how to go on', async (context) => {
  const { dataDir, backup, restored } = await places(context);
  await run(dataDir, ['backup', '--to', backup]);
  const stopped = AbortSignal.abort();
  for (const words of [['backup', '--to', backup], ['restore', '--from', backup, '--to', restored], ['rebuild']]) {
    const { status, notes } = await run(dataDir, words, stopped);
    assert.equal(status, 130, words.join(' '));
    assert.match(notes, /interrupted; /);
  }
});
