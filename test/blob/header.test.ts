import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeHeader, headerSize, validateHeader } from '../../src/blob/header.ts';

function changed(offset: number, value: number): Buffer {
  const bytes = encodeHeader();
  bytes.writeUInt8(value, offset);
  return bytes;
}

test('a header is the magic and two versions of zero', () => {
  assert.equal(encodeHeader().toString('hex'), '4357494300000000');
  assert.equal(headerSize, 8);
  assert.doesNotThrow(() => validateHeader(encodeHeader(), 'file'));
});

for (const [name, bytes] of [
  ['another magic', Buffer.from('4841414800000000', 'hex')],
  ['zeros only, as a creation of the original leaves that was interrupted', Buffer.alloc(headerSize)],
  ['another container version', changed(5, 99)],
  ['another blob version', changed(7, 1)],
] as const) {
  test(`${name} is refused with what was expected and found`, () => {
    assert.throws(() => validateHeader(bytes, 'key/0000000000000000'), {
      code: 'corruption',
      details: {
        file: 'key/0000000000000000',
        offset: 0,
        expected: '4357494300000000',
        found: bytes.toString('hex'),
      },
    });
  });
}

test('the header of the later layout is named', () => {
  const bytes = encodeHeader();
  bytes.write('CWIK', 'ascii');
  assert.throws(() => validateHeader(bytes, 'f'), {
    code: 'newer-layout',
    message: /f has a header of a newer layout/,
  });
});
