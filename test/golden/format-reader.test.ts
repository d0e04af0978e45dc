import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c, readStore, type StoreFiles } from './format-reader.ts';

const settings = { keySize: 8, pageSize: 64, compressed: false };
const checkpoint = Buffer.from('0000000000000003000000000000000000000000000000' + '6c' + '00000004', 'hex');

/** Three records of the original: keys 1 and 2 in one chain, key 0 in another bucket. */
function workedExample(): Map<string, Buffer> {
  const record = (key: string, next: string, offset: string, size: string): string => key + next + offset + size;
  const none = 'ff'.repeat(16);
  const records =
    record('0000000000000001', none, '0000000000000000', '0000000a') +
    record('0000000000000002', '00'.repeat(16), '000000000000000a', '0000000b') +
    record('0000000000000000', none, '0000000000000015', '00000006');
  const pages = `${records.slice(0, 128)}0024eb98229c00401373d32f${records.slice(128)}${'00'.repeat(20)}0008a0e4cd78002cd9bb9b5c`;
  const slots = [
    '00'.repeat(58),
    '0000000000000001000000000000000000000000000000000' + '1e0b33ea8',
    '00000000000000020000000000000000000000000000000102f1fa5356',
    '00000000000000030000000000000000000000000000000201d9240a10',
    '00'.repeat(29 + 58),
  ].join('');
  const values = '0568656c6c6fd5eced9d06776f726c6421f46bdc3001781982e367';
  const file = (content: string): Buffer => Buffer.from(`4357494300000000${content}`, 'hex');
  return new Map([
    ['key/0000000000000000', file(pages)],
    ['table/7461626c65', file(slots)],
    ['value/0000000000000000', file(values)],
  ]);
}

function changed(path: string, offset: number): StoreFiles {
  const files = workedExample();
  const file = files.get(path);
  assert.ok(file !== undefined);
  file.writeUInt8(file.readUInt8(offset) ^ 1, offset);
  return files;
}

test('the checksum is CRC-32C', () => {
  assert.equal(crc32c(Buffer.from('123456789')).toString(16), 'e3069283');
});

test('the second reader finds the values of a store of the original', () => {
  assert.deepEqual(
    readStore(workedExample(), settings, checkpoint),
    new Map([
      ['0000000000000002', '776f726c6421'],
      ['0000000000000001', '68656c6c6f'],
      ['0000000000000000', '78'],
    ]),
  );
});

test('the second reader ignores what is newer than the checkpoint', () => {
  const earlier = Buffer.from(checkpoint);
  earlier.writeBigUInt64BE(1n, 0);
  earlier.writeBigUInt64BE(36n, 16);
  assert.deepEqual(readStore(workedExample(), settings, earlier), new Map([['0000000000000001', '68656c6c6f']]));
});

for (const [path, offset] of [
  ['key/0000000000000000', 20],
  ['value/0000000000000000', 9],
  ['table/7461626c65', 0],
] as const) {
  test(`the second reader refuses a flipped bit at ${offset} of ${path}`, () => {
    assert.throws(() => readStore(changed(path, offset), settings, checkpoint));
  });
}
