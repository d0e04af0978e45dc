import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { commands } from '../../src/cli/commands.ts';
import { settings } from '../../src/service/config.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const readme = readFileSync(join(root, 'README.md'), 'utf8');

test('the example of producer and reader passes the type checker', () => {
  const example = /```ts\n([\s\S]+?)```/.exec(readme)?.[1];
  assert.ok(example !== undefined);
  const folder = mkdtempSync(join(root, 'test', 'cli', '.readme-'));
  try {
    writeFileSync(join(folder, 'example.ts'), example.replace("'permafrost'", "'../../../src/client/index.ts'"));
    writeFileSync(join(folder, 'tsconfig.json'), '{ "extends": "../../../tsconfig.json", "include": ["example.ts"] }');
    const result = spawnSync(join(root, 'node_modules/.bin/tsc'), ['--noEmit', '-p', folder], { encoding: 'utf8' });
    assert.equal(result.stdout, '');
    assert.equal(result.status, 0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the table of commands has each command, in its order', () => {
  const rows = [...readme.matchAll(/^\| `permafrost ([\w-]+)/gm)].map((match) => match[1]);
  assert.deepEqual(
    rows,
    commands.map(({ name }) => name),
  );
});

test('the table of settings names each with its environment variable and its default', () => {
  const rows = [...readme.matchAll(/^\| `([\w.]+)` \| `(PERMAFROST_\w+)` \| `([^`]+)` \|$/gm)];
  assert.ok(rows.length >= 8);
  for (const [, key, env, value] of rows) {
    const setting = settings.find((each) => each.key === key);
    assert.deepEqual([setting?.env, String(setting?.default)], [env, value], key);
  }
});

test('the table of folders has each folder of src', () => {
  const rows = [...readme.matchAll(/^\| `src\/(\w+)` \|/gm)].map((match) => match[1]);
  assert.deepEqual(rows.sort(), readdirSync(join(root, 'src')).sort());
});

test('the files and commands that it names are there', () => {
  for (const [, path = ''] of readme.matchAll(/\]\(((?!https?:)[^)]+)\)/g)) {
    assert.doesNotThrow(() => readFileSync(join(root, path)), path);
  }
  for (const [, path = ''] of readme.matchAll(/`(src\/[\w/-]+\.ts)`/g)) {
    assert.doesNotThrow(() => readFileSync(join(root, path)), path);
  }
});
