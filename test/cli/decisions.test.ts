import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const folder = new URL('../../docs/decisions/', import.meta.url);
const pages = readdirSync(folder).filter((name) => name !== 'README.md');

test('the list of decisions has each page, and each page exists', () => {
  const listed = [...readFileSync(new URL('README.md', folder), 'utf8').matchAll(/^\| \[[\w-]+\]\(([\w-]+\.md)\)/gm)];
  assert.deepEqual(listed.map((match) => match[1]).sort(), pages.sort());
});

test('each page says what was chosen and links only to pages that exist', () => {
  for (const page of pages) {
    const text = readFileSync(new URL(page, folder), 'utf8');
    if (page !== 'dependencies.md') assert.match(text, /^\*\*Chosen\.\*\*[\s\S]+^\*\*The other way\.\*\*/m, page);
    for (const [, link = ''] of text.matchAll(/\]\(([\w-]+\.md)\)/g))
      assert.ok(pages.includes(link), `${page}: ${link}`);
  }
});

test('the tables of dependencies have each dependency of package.json, with its reason', () => {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const [runTime = '', development = ''] = readFileSync(new URL('dependencies.md', folder), 'utf8').split(
    '## For development only',
  );
  const rowsOf = (text: string) => [...text.matchAll(/^\| `([\w@/-]+)` \|/gm)].map((match) => match[1]).sort();
  assert.deepEqual(rowsOf(runTime), Object.keys(manifest.dependencies).sort());
  const tools = Object.keys(manifest.devDependencies).filter((name) => !name.startsWith('@types/'));
  assert.deepEqual(rowsOf(development), tools.sort());
});
