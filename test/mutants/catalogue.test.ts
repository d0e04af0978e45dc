import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { catalogue } from '../../mutants/catalogue.ts';
import { mutated } from '../../mutants/mutant.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** So many are promised. */
const countMin = 30;

function textOf(file: string): string {
  const path = join(root, file);
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

describe('the mutants', () => {
  test('are as many as promised, each with a name of its own', () => {
    assert.ok(catalogue.length >= countMin, `${catalogue.length} mutants`);
    const names = catalogue.map(({ name }) => name);
    assert.deepEqual([...new Set(names)], names);
    for (const name of names) assert.match(name, /^[a-z]+(-[a-z0-9]+)+$/);
  });

  test('apply: the text of each is in its file exactly once, and is changed', () => {
    const stale = catalogue.filter((mutant) => mutated(textOf(mutant.file), mutant) === undefined);
    assert.deepEqual(
      stale.map(({ name, file }) => `${name}: ${file}`),
      [],
    );
    for (const { name, text, replacement } of catalogue) assert.notEqual(text, replacement, name);
  });

  test('are about the product, and say in a sentence what they break', () => {
    for (const { name, file, breaks } of catalogue) {
      assert.match(file, /^src\//, name);
      assert.match(breaks, /^[A-Z].*\.$/, name);
    }
  });

  test('name a test that is there', () => {
    const missing = catalogue.filter(({ killer }) => !namesIn(textOf(killer.file)).includes(killer.test));
    assert.deepEqual(
      missing.map(({ name, killer }) => `${name}: ${killer.file}: ${killer.test}`),
      [],
    );
  });
});

/** The text of a test file without the quotes' own marks, which names of tests have none of. */
function namesIn(text: string): string {
  return text.replaceAll("\\'", "'");
}
