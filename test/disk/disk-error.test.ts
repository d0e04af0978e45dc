import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diskErrorFrom, shortRead } from '../../src/disk/disk-error.ts';

const where = { operation: 'write', path: 'key/0000000000000000', offset: 70, size: 82 };

for (const [system, code, retriable] of [
  ['ENOENT', 'not-found', false],
  ['ENOSPC', 'disk-full', true],
  ['EDQUOT', 'disk-full', true],
  ['EIO', 'disk-failed', false],
  ['EROFS', 'disk-failed', false],
  [undefined, 'disk-failed', false],
] as const) {
  test(`the system error ${system ?? 'without a code'} is ${code}, with where it happened`, () => {
    const cause = Object.assign(new Error('below'), { code: system });
    const error = diskErrorFrom(cause, where);
    assert.deepEqual([error.code, error.retriable, error.fatal, error.cause], [code, retriable, false, cause]);
    assert.deepEqual(error.details, { ...where, system });
    assert.equal(error.message, 'write of key/0000000000000000 failed: below');
  });
}

test('an error of the root says so, and one that is no Error keeps its text', () => {
  assert.equal(diskErrorFrom('odd', { operation: 'list', path: '' }).message, 'list of . failed: odd');
});

test('a short read names what was expected and what was found', () => {
  const error = shortRead('a', 8, 58, 30);
  assert.equal(error.code, 'short-read');
  assert.equal(error.message, 'a: expected 58 bytes at offset 8, found 30');
});
