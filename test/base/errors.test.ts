import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AssertionFailure, assert as assertThat, present, unreachable } from '../../src/base/assert.ts';
import { codeOf, messageOf, PermafrostError } from '../../src/base/errors.ts';
import { Poison } from '../../src/base/poison.ts';

describe('an error of Permafrost', () => {
  test('carries its code, what it means for the caller, its details and its cause', () => {
    const cause = new Error('below');
    const error = new PermafrostError('broken', 'text', {
      fatal: true,
      retriable: true,
      details: { offset: 7 },
      cause,
    });
    assert.ok(error instanceof Error);
    assert.deepEqual(
      [error.code, error.message, error.fatal, error.retriable, error.details, error.cause],
      ['broken', 'text', true, true, { offset: 7 }, cause],
    );
  });

  test('is neither fatal nor retriable, and has no cause, unless it says so', () => {
    const error = new PermafrostError('broken', 'text');
    assert.deepEqual([error.fatal, error.retriable, error.details, 'cause' in error], [false, false, {}, false]);
  });

  test('keeps a cause that is falsy', () => {
    assert.equal(new PermafrostError('broken', 'text', { cause: 0 }).cause, 0);
  });
});

describe('of anything that was thrown', () => {
  test('there is a text', () => {
    assert.deepEqual([messageOf(new Error('a')), messageOf('b'), messageOf(undefined)], ['a', 'b', 'undefined']);
  });

  test('there is a code when it has one that is a text', () => {
    const coded = [
      Object.assign(new Error('a'), { code: 'EIO' }),
      new PermafrostError('broken', 'b'),
      { code: 'plain' },
    ];
    assert.deepEqual(coded.map(codeOf), ['EIO', 'broken', 'plain']);
    for (const thrown of [new Error('a'), { code: 7 }, null, undefined, 'EIO', 7])
      assert.equal(codeOf(thrown), undefined);
  });
});

describe('an assertion', () => {
  test('throws only when its condition is false', () => {
    assertThat(true, 'fine');
    assert.throws(() => assertThat(false, 'wrong'), new AssertionFailure('wrong'));
  });

  test('of presence gives the value, also a falsy one', () => {
    assert.deepEqual([present(0, 'zero'), present('', 'text'), present(null, 'null')], [0, '', null]);
    assert.throws(() => present(undefined, 'the head'), new AssertionFailure('the head is missing'));
  });

  test('of what cannot be reached names the value', () => {
    assert.throws(() => unreachable('other' as never), /unreachable value: other/);
  });

  test('is no error that anybody expects', () => {
    assert.ok(!(new AssertionFailure('wrong') instanceof PermafrostError));
  });
});

describe('poison', () => {
  test('keeps its first cause', () => {
    const poison = new Poison();
    assert.deepEqual([poison.set, poison.cause], [false, undefined]);
    const first = new Error('first');
    assert.equal(poison.mark(first), first);
    assert.equal(poison.mark(new Error('second')), first);
    assert.deepEqual([poison.set, poison.cause], [true, first]);
  });

  test('makes an error of a cause that is none', () => {
    assert.equal(new Poison().mark('text').message, 'text');
  });
});
