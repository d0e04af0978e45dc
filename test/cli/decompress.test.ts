import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { createZstdCompress, gzipSync, zstdCompressSync } from 'node:zlib';
import { compressors } from '../../src/cli/compression.ts';
import { decompressed } from '../../src/cli/decompress.ts';
import { Random } from '../simulation/random.ts';

const random = new Random(11);
/** Larger than several pieces of output. */
const text = Buffer.from(Array.from({ length: 9000 }, (_, line) => `line ${line} ${random.below(1e9)}\n`).join(''));
const compressed = { gzip: gzipSync(text), zstd: zstdCompressSync(text) };

async function* slices(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
}

/** What came out, and the error that ended it. */
async function outcome(
  bytes: AsyncIterable<Buffer>,
  compression: 'gzip' | 'zstd' | 'none',
): Promise<{ readonly got: Buffer; readonly error: string }> {
  const pieces: Buffer[] = [];
  try {
    for await (const piece of decompressed(bytes, compression)) {
      pieces.push(piece);
      // A reader that is slower than the decompressor.
      await new Promise(setImmediate);
    }
  } catch (error) {
    return { got: Buffer.concat(pieces), error: String(error) };
  }
  return { got: Buffer.concat(pieces), error: '' };
}

for (const compression of ['gzip', 'zstd'] as const) {
  const whole = compressed[compression];
  const pack = compression === 'gzip' ? gzipSync : zstdCompressSync;

  suite(`a stream compressed with ${compression}`, () => {
    for (const size of [1 << 18, 4099]) {
      test(`comes back, also in several parts, in pieces of ${size} bytes`, async () => {
        const parts = [0, 1000, 1001, 50_000, text.length].flatMap((to, index, all) =>
          index === 0 ? [] : [pack(text.subarray(all[index - 1], to))],
        );
        for (const bytes of [whole, Buffer.concat(parts)]) {
          const { got, error } = await outcome(slices(bytes, size), compression);
          assert.deepEqual([error, got.length], ['', text.length]);
          assert.ok(got.equals(text));
        }
      });

      test(`gives what stands before its cut, then the error, in pieces of ${size} bytes`, async () => {
        let longest = 0;
        for (const length of [0, 3, 100, whole.length >> 1, whole.length - 9, whole.length - 1]) {
          const { got, error } = await outcome(slices(whole.subarray(0, length), size), compression);
          assert.match(error, /unexpected end of file/);
          assert.ok(got.equals(text.subarray(0, got.length)));
          // zstd gives a block when it is whole.
          assert.ok(got.length >= (length / whole.length) * text.length - (1 << 17) - 100, `${length}: ${got.length}`);
          longest = Math.max(longest, got.length);
        }
        assert.ok(longest > text.length / 2, 'much of it was given');
      });
    }

    test('is an error when something else follows it', async () => {
      const { error } = await outcome(slices(Buffer.concat([whole, Buffer.from('something')]), 1 << 18), compression);
      assert.match(error, /incorrect header|Unknown frame/);
    });
  });
}

test('zeros behind a gzip stream, which fill up its last block, are passed over', async () => {
  const { got, error } = await outcome(slices(Buffer.concat([compressed.gzip, Buffer.alloc(512)]), 1 << 18), 'gzip');
  assert.deepEqual([error, got.length], ['', text.length]);
});

test('what is not compressed comes as it is, and an error of the source as well', async () => {
  async function* failing(): AsyncGenerator<Buffer> {
    yield text;
    throw new Error('gone');
  }
  for (const compression of ['none', 'gzip', 'zstd'] as const) {
    const { got, error } = await outcome(failing(), compression);
    if (compression === 'none') assert.ok(got.equals(text));
    assert.match(error, compression === 'none' ? /gone/ : /gone|header|frame/);
  }
});

for (const compression of ['gzip', 'zstd'] as const) {
  test(`a bit that flips in what we compress with ${compression} is noticed`, async () => {
    const [compressor] = compressors(compression);
    assert.ok(compressor !== undefined);
    compressor.end(text);
    const bytes = Buffer.concat(await compressor.toArray());
    for (let bit = 0; bit < 20; bit++) {
      const place = 20 + random.below(bytes.length - 40);
      const rotten = Buffer.from(bytes);
      rotten.writeUInt8(rotten.readUInt8(place) ^ (1 << (bit % 8)), place);
      assert.notEqual((await outcome(slices(rotten, 1 << 18), compression)).error, '', `bit ${bit % 8} of ${place}`);
    }
  });
}

test('Node writes zstd without a checksum if it is not told to', async () => {
  // Or else the option in `compressors` could go.
  const plain = createZstdCompress();
  plain.end('x');
  assert.equal(Buffer.concat(await plain.toArray()).readUInt8(4) & 4, 0);
});
