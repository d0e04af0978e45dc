import assert from 'node:assert/strict';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { storedKeyOf } from '../../src/protocol/record-key.ts';
import { CommandRun } from './command-run.ts';
import { archive, contentOf, damage, emptyDirectory, openShard, run } from './offline-archive.ts';

/** What must survive: no text, all bytes, nothing, more than a line, keys that need escapes, several versions. */
const odd: readonly (readonly [string, Buffer])[] = [
  ['bytes', Buffer.from(Array.from({ length: 256 }, (_, n) => n))],
  ['empty', Buffer.alloc(0)],
  ['bom', Buffer.from('\ufefftext')],
  ['half', Buffer.from([0xc3])],
  ['lines', Buffer.from('a\nb\r\n\u2028"\\\0')],
  ['ключ\n\0"', Buffer.from('ключ')],
  ['', Buffer.from('the empty key')],
  ['version', Buffer.from('one')],
  ['version', Buffer.from('two')],
  ['version', Buffer.from('one')],
];

async function oddArchive(context: TestContext): Promise<string> {
  const dataDir = await emptyDirectory(context);
  const shard = await openShard(dataDir);
  for (const [index, [key, payload]] of odd.entries()) {
    const records = [{ key, storedKey: storedKeyOf(key), payload }];
    await shard.put({ putId: `put-${index}`, records, ifExists: 'append', redelivered: false });
  }
  await shard.close();
  return dataDir;
}

function bytesOf(line: { text?: string; value?: string }): Buffer {
  return line.text === undefined ? Buffer.from(line.value ?? '', 'base64') : Buffer.from(line.text);
}

function parsed(text: string) {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

test('every record comes with its bytes, in the order of the archive, and says where it was', async (context) => {
  const dataDir = await oddArchive(context);
  const { status, text, notes } = await run(dataDir, ['export', '-']);
  assert.equal(status, 0, notes);
  const lines = parsed(text);
  assert.deepEqual(
    lines.map((line) => [line.key, bytesOf(line)]),
    odd.map(([key, payload]) => [key, payload]),
  );
  assert.match(lines[3].cursor, /^0:[0-9a-f]{40}$/);
  assert.deepEqual([lines[3].put, typeof lines[3].time], ['put-3/000000', 'number']);
  assert.deepEqual(Object.keys(lines[0]), ['key', 'value', 'time', 'put', 'cursor']);
  assert.match(notes, /10 records exported, \d+ B\n$/);
});

test('an export only reads what holds the records', async (context) => {
  const dataDir = await archive(context);
  const stored = async (): Promise<readonly (readonly [string, string])[]> =>
    Object.entries(await contentOf(join(dataDir, 'shard-0000'))).filter(([path]) => /\/(key|value|table)\//.test(path));
  const before = await stored();
  assert.equal((await run(dataDir, ['export', '-'])).status, 0);
  assert.deepEqual(await stored(), before);
});

test('the name of a file says how it is compressed, and a file that is there is not replaced', async (context) => {
  const dataDir = await archive(context);
  const target = await emptyDirectory(context);
  const plain = (await run(dataDir, ['export', '-'])).text;
  const unpacked = {
    'a.ndjson': (bytes: Buffer) => bytes,
    'a.ndjson.gz': gunzipSync,
    'a.ndjson.zst': zstdDecompressSync,
  };
  for (const [name, unpack] of Object.entries(unpacked)) {
    const { status, text, notes } = await run(dataDir, ['export', join(target, name)]);
    assert.equal(`${status} ${text}`, '0 40 records exported, 590 B\n', notes);
    assert.equal(unpack(await readFile(join(target, name))).toString(), plain);
  }
  const again = await run(dataDir, ['export', join(target, 'a.ndjson')]);
  assert.match(`${again.status} ${again.notes}`, /^2 .*is there already/);
  assert.deepEqual((await readdir(target)).sort(), Object.keys(unpacked).sort());
});

test('bounds of time leave out what was archived before or after', async (context) => {
  const dataDir = await oddArchive(context);
  const lines = parsed((await run(dataDir, ['export', '-'])).text);
  const middle = lines[5].time;
  const expected = lines.filter(({ time }) => time >= middle).map(({ put }) => put);
  const from = await run(dataDir, ['export', '-', '--from', new Date(middle).toISOString()]);
  assert.deepEqual(
    parsed(from.text).map(({ put }) => put),
    expected,
  );
  const to = await run(dataDir, ['export', '-', '--to', `${middle}`]);
  assert.equal(parsed(to.text).length, lines.length - expected.length);
});

test('a bound that is no time, is no day of the calendar, names no zone, or lies behind the other is refused', async (context) => {
  const dataDir = await oddArchive(context);
  const day = '2031-04-01';
  const wrong = ['tomorrow', '5', 'part 1', '1/2/2031', '2031-02-30', `${day}T12:00`, `${day} 12:00`, `${day}T24:01Z`];
  for (const time of wrong) {
    const { status, notes } = await run(dataDir, ['export', '-', '--to', time]);
    assert.match(`${status} ${notes}`, /^2 .*--to must be a time/, time);
  }
  for (const time of [day, `${day}T12:00Z`, `${day}T12:00:00.5+02:00`]) {
    const { status, notes } = await run(dataDir, ['export', '-', '--to', time]);
    assert.match(`${status} ${notes}`, /^0 10 records exported/, time);
  }
  const swapped = await run(dataDir, ['export', '-', '--from', day, '--to', '2031-03-31']);
  assert.match(`${swapped.status} ${swapped.notes}`, /^2 .*--to must be later than --from/);
});

test('a damaged record is told, the others are exported, and the end is 1', async (context) => {
  const dataDir = await archive(context);
  await damage(dataDir);
  const { status, text, notes } = await run(dataDir, ['export', '-', '--json']);
  assert.equal(status, 1);
  assert.equal(parsed(text).length, 39);
  assert.match(notes, /^LOST shard 0: value\/\S+ at \d+ \(record 20 of /m);
  assert.partialDeepStrictEqual(JSON.parse(notes.trim().split('\n').at(-1) ?? ''), { exported: 39 });
});

test('into a directory it goes in parts with a list of them, and goes on behind the last one after an interruption', async (context) => {
  const dataDir = await archive(context);
  const whole = (await run(dataDir, ['export', '-'])).text;
  const target = join(await emptyDirectory(context), 'parts');
  const words = ['export', `${target}/`, '--part-bytes', '1000', '--compress', 'gzip'];
  const first = await run(dataDir, words);
  assert.equal(first.status, 0, first.notes);
  const list = JSON.parse(await readFile(join(target, 'permafrost-export.json'), 'utf8'));
  assert.ok(list.parts.length >= 4 && list.complete);
  // As an interruption behind the second part would have left it: the third was begun.
  const cut = { ...list, parts: list.parts.slice(0, 2), complete: false };
  await writeFile(join(target, 'permafrost-export.json'), JSON.stringify(cut));
  for (const { file } of list.parts.slice(2)) await rm(join(target, file));
  await writeFile(join(target, 'part-000003.ndjson.gz.partial'), 'begun');
  const second = await run(dataDir, [...words, '--json']);
  assert.equal(second.status, 0, second.notes);
  const before = list.parts[0].records + list.parts[1].records;
  assert.partialDeepStrictEqual(JSON.parse(second.text), { exported: 40 - before, passedOver: before });
  const again = JSON.parse(await readFile(join(target, 'permafrost-export.json'), 'utf8'));
  assert.deepEqual(again, list);
  const parts = await Promise.all(again.parts.map(({ file }: { file: string }) => readFile(join(target, file))));
  assert.equal(parts.map((part) => gunzipSync(part).toString()).join(''), whole);
  const third = await run(dataDir, words);
  assert.match(`${third.status} ${third.notes}`, /^3 .*the export in it is complete/);
});

test('an export that is killed goes on, and is whole in the end', async (context) => {
  const dataDir = await archive(context);
  const whole = (await run(dataDir, ['export', '-'])).text;
  const target = join(await emptyDirectory(context), 'killed');
  const environment = { PERMAFROST_DATA_DIR: dataDir, PERMAFROST_ENGINE_TABLE_INITIAL_SIZE: '64' };
  const words = ['export', `${target}/`, '--part-bytes', '200', '--compress', 'none'];
  const partNames = async () => (await readdir(target).catch(() => [])).filter((name) => name.endsWith('.ndjson'));
  const command = new CommandRun(words, environment);
  while ((await partNames()).length < 3);
  await command.stop('SIGKILL');
  const readList = async () => JSON.parse(await readFile(join(target, 'permafrost-export.json'), 'utf8'));
  // On a machine that holds this process up it may have come to its end before.
  if (!(await readList()).complete) {
    const { status, notes } = await run(dataDir, words);
    assert.equal(status, 0, notes);
  }
  const list = await readList();
  const parts = await Promise.all(list.parts.map(({ file }: { file: string }) => readFile(join(target, file), 'utf8')));
  assert.equal(parts.join(''), whole);
  assert.equal((await readdir(target)).length, list.parts.length + 1);
});

test('a directory with something else, or an export of another volume, is refused', async (context) => {
  const [dataDir, other, target] = [await archive(context), await archive(context), await emptyDirectory(context)];
  await writeFile(join(target, 'photo.jpg'), '');
  const strange = await run(dataDir, ['export', target]);
  assert.match(`${strange.status} ${strange.notes}`, /^3 .*it holds photo\.jpg/);
  await rm(join(target, 'photo.jpg'));
  await run(dataDir, ['export', target]);
  const list = JSON.parse(await readFile(join(target, 'permafrost-export.json'), 'utf8'));
  await writeFile(join(target, 'permafrost-export.json'), JSON.stringify({ ...list, complete: false }));
  const foreign = await run(other, ['export', target]);
  assert.match(`${foreign.status} ${foreign.notes}`, /^3 .*another volume's shard 0/);
});

test('all shards of a data directory come one after the other, or the one that is named', async (context) => {
  const dataDir = await archive(context);
  const second = await openShard(dataDir, 1);
  const records = odd.map(([key, payload]) => ({ key, storedKey: storedKeyOf(key), payload }));
  await second.put({ putId: 'second', records, ifExists: 'append', redelivered: false });
  await second.close();
  const both = parsed((await run(dataDir, ['export', '-'])).text);
  assert.deepEqual(
    both.map(({ cursor }) => cursor.split(':')[0]),
    [...Array(40).fill('0'), ...odd.map(() => '1')],
  );
  const one = parsed((await run(dataDir, ['export', '-', '--shard', '1'])).text);
  assert.deepEqual(one, both.slice(40));
  const target = join(await emptyDirectory(context), 'both');
  await run(dataDir, ['export', `${target}/`, '--part-bytes', '3000']);
  const { parts, instances } = JSON.parse(await readFile(join(target, 'permafrost-export.json'), 'utf8'));
  assert.deepEqual(Object.keys(instances), ['0', '1']);
  assert.equal(
    parts.reduce((sum: number, part: { records: number }) => sum + part.records, 0),
    40 + odd.length,
  );
});

test('a worker that runs, and a directory without a shard, are told', async (context) => {
  const dataDir = await archive(context);
  const owner = await openShard(dataDir);
  const owned = await run(dataDir, ['export', '-']);
  await owner.close();
  assert.match(`${owned.status} ${owned.notes}`, /^3 .*owned by process/);
  const none = await run(await emptyDirectory(context), ['export', '-']);
  assert.match(`${none.status} ${none.notes}`, /^3 .*there is no shard/);
});

test('an interruption ends with 130 and leaves no file that looks whole', async (context) => {
  const dataDir = await archive(context);
  const target = await emptyDirectory(context);
  const { status } = await run(dataDir, ['export', join(target, 'a.ndjson')], AbortSignal.abort());
  assert.deepEqual([status, await readdir(target)], [130, []]);
});
