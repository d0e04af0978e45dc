import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import { FrameCoding } from '../../src/freezer/frame-coding.ts';
import { bytesCodec } from '../../src/freezer/value-codec.ts';

const value = Buffer.alloc(100, 7);
const encoded = Buffer.concat([Buffer.from([100]), value]);

async function dataOf(coding: FrameCoding<Uint8Array>): Promise<Buffer> {
  const prepared = await coding.prepareMany([value]);
  const data = Buffer.alloc(prepared.sizes[0] ?? 0);
  prepared.write(0, data, 0);
  return data;
}

test('without compression the data of a frame is the encoded value', async () => {
  const coding = new FrameCoding(bytesCodec, undefined);
  assert.deepEqual(await dataOf(coding), encoded);
  assert.deepEqual(await coding.decode(encoded), value);
});

test('a compressed frame has its content size in its head and no checksum, as the original writes it', async () => {
  const data = await dataOf(new FrameCoding(bytesCodec, 3));
  assert.equal(data.toString('hex', 0, 6), `28b52ffd20${encoded.length.toString(16)}`);
  assert.deepEqual(zstdDecompressSync(data), encoded);
});

test('a frame of the original is read, and what any level wrote is read with any other', async () => {
  const original = Buffer.from('28b52ffd20654500001064070100200558', 'hex');
  assert.deepEqual(await new FrameCoding(bytesCodec, 1).decode(original), value);
  for (const level of [-5, 1, 19]) {
    const data = await dataOf(new FrameCoding(bytesCodec, level));
    assert.deepEqual(await new FrameCoding(bytesCodec, 3).decode(data), value);
  }
});

test('plain data is no compressed frame, and a compressed one no plain value', async () => {
  await assert.rejects(async () => new FrameCoding(bytesCodec, 3).decode(encoded));
  const data = await dataOf(new FrameCoding(bytesCodec, 3));
  await assert.rejects(async () => new FrameCoding(bytesCodec, undefined).decode(data), { code: 'malformed' });
});
