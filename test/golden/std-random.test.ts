import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expandSeed, StdRandom } from '../../tools/golden/std-random.ts';

const firstKeyOfSeedZero =
  '7f6f2ccdb23f2abb7b69278e947c01c6160a31cf02c19d06d0f6e5ab1d768b95' +
  '117be1de549d1d4322c4711f11efa0c5137903124f85fc37c761ffc91ace30cb';

test('a 64-bit seed is expanded to the 32 bytes that Rust makes of it', () => {
  assert.equal(expandSeed(0n).toString('hex'), 'ecf273f981b5cd4587f0467306ad6cadd0d0a3e33317e767f29bea72d78a7dfe');
});

test('the stream begins with the published first key', () => {
  assert.equal(new StdRandom(0n).bytes(64).toString('hex'), firstKeyOfSeedZero);
});

test('the stream is the same however it is cut into reads', () => {
  const whole = new StdRandom(7n).bytes(300);
  const random = new StdRandom(7n);
  const pieces = [1, 63, 64, 65, 100, 7].map((size) => random.bytes(size));
  assert.deepEqual(Buffer.concat(pieces), whole);
});

test('other seeds give other streams', () => {
  assert.notDeepEqual(new StdRandom(1n).bytes(64), new StdRandom(2n).bytes(64));
});
