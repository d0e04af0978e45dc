import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Mutant } from '../../mutants/mutant.ts';
import { parseOptions, UsageError } from '../../mutants/options.ts';

const killer = { file: 'test/a.test.ts', test: 'a' };
const catalogue: readonly Mutant[] = ['one', 'two', 'three'].map((name) => {
  return { name, file: 'src/a.ts', text: 'a', replacement: 'b', breaks: 'It.', killer };
});

test('without options all mutants run, as many side by side as there are processors but two at most', () => {
  const options = parseOptions([], catalogue);
  assert.deepEqual([options.wish, options.mutants, options.json], ['run', catalogue, false]);
  assert.ok(options.jobs >= 1 && options.jobs <= 2);
});

test('mutants are chosen by name, in the order of the list', () => {
  const { mutants, jobs } = parseOptions(['--only', 'three,one', '--jobs', '4'], catalogue);
  assert.deepEqual([mutants.map(({ name }) => name), jobs], [['one', 'three'], 4]);
});

for (const words of [['--only', 'four'], ['--jobs', '0'], ['--jobs', '1.5'], ['--jobs', '65'], ['--fast'], ['one']]) {
  test(`${words.join(' ')} is refused`, () => {
    assert.throws(() => parseOptions(words, catalogue), UsageError);
  });
}
