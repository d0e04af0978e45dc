import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type FileSourceSettings, filesBelow } from '../../src/cli/file-source.ts';

async function directoryWith(context: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'permafrost-files-'));
  context.after(() => rm(directory, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(directory, path, '..'), { recursive: true });
    await writeFile(join(directory, path), text);
  }
  return directory;
}

async function read(directory: string, settings: FileSourceSettings): Promise<readonly string[]> {
  const shown: string[] = [];
  for await (const item of filesBelow(directory, settings)) {
    if (item.kind !== 'record') shown.push(`${item.where}: ${item.kind}: ${item.reason}`);
    else shown.push(`${item.key} (${item.size}) = ${Buffer.from(await item.load()).toString()}`);
  }
  return shown;
}

test('every regular file is a record, in the order of the names, with / in its key', async (context) => {
  const directory = await directoryWith(context, { 'b/z.txt': 'bz', 'a.txt': 'a', 'b/a/deep': '', B: 'big' });
  assert.deepEqual(await read(directory, { keyPrefix: 'docs/' }), [
    'docs/B (3) = big',
    'docs/a.txt (1) = a',
    'docs/b/a/deep (0) = ',
    'docs/b/z.txt (2) = bz',
  ]);
});

test('a symbolic link is skipped by name, be it to a file, a directory above or nothing', async (context) => {
  const directory = await directoryWith(context, { a: 'a' });
  await symlink('a', join(directory, 'link'));
  await symlink('.', join(directory, 'loop'));
  await symlink('nowhere', join(directory, 'void'));
  assert.deepEqual(await read(directory, { keyPrefix: '' }), [
    'a (1) = a',
    'link: skipped: not a regular file',
    'loop: skipped: not a regular file',
    'void: skipped: not a regular file',
  ]);
});

test('a file above the size of a part becomes numbered parts that make it up again', async (context) => {
  const directory = await directoryWith(context, { four: 'abcd', five: 'abcde', nine: 'abcdefghi' });
  assert.deepEqual(await read(directory, { keyPrefix: '', partBytesMax: 4 }), [
    'five#part-1-of-2 (4) = abcd',
    'five#part-2-of-2 (1) = e',
    'four (4) = abcd',
    'nine#part-1-of-3 (4) = abcd',
    'nine#part-2-of-3 (4) = efgh',
    'nine#part-3-of-3 (1) = i',
  ]);
});

test('a directory that is not there is one failure', async (context) => {
  const directory = await directoryWith(context, {});
  const [failure, ...more] = await read(join(directory, 'missing'), { keyPrefix: '' });
  assert.match(failure ?? '', /missing: failed: ENOENT/);
  assert.deepEqual(more, []);
});
