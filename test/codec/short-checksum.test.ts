import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { crc32c } from '../../src/codec/crc32c.ts';
import { ShortChecksum } from '../../src/codec/short-checksum.ts';

for (const size of [1, 2, 4, 25, 32, 64, 65, 300]) {
  test(`a checksum of ${size} bytes in place is that of a copy`, () => {
    const checksum = new ShortChecksum(size);
    const inputs = fc.tuple(fc.uint8Array({ minLength: size, maxLength: size }), fc.nat(40));
    fc.assert(
      fc.property(inputs, ([bytes, at]) => {
        const memory = Buffer.alloc(at + size + 3, 0xa5);
        memory.set(bytes, at);
        assert.equal(checksum.of(memory, at), crc32c(bytes));
      }),
    );
  });
}

test('the largest keys take no memory for tables', () => {
  const before = process.memoryUsage().arrayBuffers;
  const checksums = Array.from({ length: 4 }, () => new ShortChecksum(0xffff));
  assert.ok(process.memoryUsage().arrayBuffers - before < 4 * 1024 * 1024);
  assert.equal(checksums.length, 4);
});

test('each value of each place counts', () => {
  const checksum = new ShortChecksum(25);
  for (let place = 0; place < 25; place++) {
    for (let value = 0; value < 256; value++) {
      const bytes = Buffer.alloc(25);
      bytes[place] = value;
      assert.equal(checksum.of(bytes, 0), crc32c(bytes), `${value} at ${place}`);
    }
  }
});
