import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { missingPackages } from '../tools/complete-lock.mjs';
import * as rules from '../tools/house/rules.ts';
import { readSources } from '../tools/house/source.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const sources = readSources(root, ['src', 'test', 'tools', 'bench', 'crashlab', 'mutants']);
/** This file holds what the rules forbid, as examples. */
const examples = 'test/house-rules.test.ts';
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const dependencies = new Set(Object.keys(manifest.dependencies));

function file(path: string, ...lines: string[]): { path: string; text: string }[] {
  return [{ path, text: `${lines.join('\n')}\n` }];
}

describe('no file', () => {
  const others = sources.filter(({ path }) => path !== examples);

  test('is longer than one can hold in mind', () => {
    assert.deepEqual(rules.tooLong(sources), []);
    assert.equal(rules.tooLong(file('src/base/a.ts', ...Array(rules.linesMax).fill(''))).length, 0);
    assert.deepEqual(rules.tooLong(file('src/base/a.ts', ...Array(rules.linesMax + 1).fill(''))), [
      'src/base/a.ts: 501 lines, at most 500',
    ]);
  });

  test('has a name that says nothing', () => {
    assert.deepEqual(rules.emptyNamed(sources), []);
    for (const path of ['src/utils/crc.ts', 'src/blob/types.ts', 'test/helpers.ts', 'tools/common.d.mts']) {
      assert.equal(rules.emptyNamed(file(path)).length, 1, path);
    }
    assert.deepEqual(rules.emptyNamed(file('src/cli/command-types.ts')), []);
  });

  test('imports a module that belongs to another', () => {
    assert.deepEqual(rules.outsideHome(others), []);
    for (const [path, module] of [
      ['src/journal/a.ts', 'node:fs'],
      ['src/shard/a.ts', 'node:fs/promises'],
      ['src/freezer/a.ts', 'crc-32/crc32c.js'],
      ['src/shard/identity.ts', 'node:sqlite'],
      ['src/shard/a.ts', 'bullmq'],
      ['src/queue/a.ts', 'prom-client'],
    ] as const) {
      assert.equal(rules.outsideHome(file(path, `import x from '${module}';`)).length, 1, `${path} ${module}`);
    }
    assert.deepEqual(rules.outsideHome(file('src/cli/a.ts', "import { open } from 'node:fs/promises';")), []);
    assert.deepEqual(rules.outsideHome(file('src/codec/crc32c.ts', "import crc from 'crc-32/crc32c.js';")), []);
  });

  test('of src needs a package that is not published with it', () => {
    assert.deepEqual(rules.undeclaredPackages(others, dependencies), []);
    const source = file('src/cli/a.ts', "import { Ajv } from 'ajv';", "import { Queue } from 'bullmq';");
    assert.deepEqual(rules.undeclaredPackages(source, dependencies), [
      'src/cli/a.ts:1: ajv is not among the dependencies in package.json',
    ]);
  });

  test('of the tests sleeps', () => {
    assert.deepEqual(rules.sleeping(others), []);
    for (const line of [
      'await new Promise((resolve) => setTimeout(resolve, 50));',
      "import { setTimeout as later } from 'node:timers/promises';",
      'const poll = setInterval(look, 10);',
    ]) {
      assert.equal(rules.sleeping(file('test/shard/a.test.ts', line)).length, 1, line);
      assert.deepEqual(rules.sleeping(file('src/base/clock.ts', line)), []);
    }
    assert.deepEqual(rules.sleeping(file('test/shard/child.ts', 'setInterval(() => {}, 1e6);')), []);
  });

  test('of src throws an error without a code', () => {
    assert.deepEqual(rules.codelessErrors(others), []);
    assert.equal(rules.codelessErrors(file('src/blob/a.ts', "  throw new Error('no');")).length, 1);
    assert.deepEqual(rules.codelessErrors(file('test/blob/a.test.ts', "  throw new Error('no');")), []);
  });

  test('switches off a rule that has no exceptions', () => {
    assert.deepEqual(rules.silenced(others), []);
    for (const line of [
      '// @ts-ignore',
      '// @ts-nocheck',
      '// biome-ignore lint/suspicious/noExplicitAny: laziness',
      '// biome-ignore-all lint/style/noNonNullAssertion: laziness',
    ]) {
      assert.equal(rules.silenced(file('src/blob/a.ts', line)).length, 1, line);
    }
  });
});

test('the linter refuses any, !, enum, default exports and promises that nobody waits for', () => {
  const bad = [
    'enum Colour {\n  Red,\n}',
    'export async function work(given: any): Promise<string> {\n  return given!.name + Colour.Red;\n}',
    'export function start(): void {\n  work(1);\n}',
    'export default start;\n',
  ].join('\n\n');
  const found = rulesBrokenBy(bad);
  for (const rule of ['noExplicitAny', 'noNonNullAssertion', 'noEnum', 'noDefaultExport', 'noFloatingPromises']) {
    assert.ok(found.includes(rule), `${rule} is not among ${found}`);
  }
});

/** The names of the lint rules that say no to `text` as a file of `src`, with this project's own settings. */
function rulesBrokenBy(text: string): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'permafrost-lint-'));
  try {
    const settings = JSON.parse(readFileSync(join(root, 'biome.json'), 'utf8'));
    writeFileSync(join(folder, 'biome.json'), JSON.stringify({ ...settings, vcs: { enabled: false } }));
    mkdirSync(join(folder, 'src'));
    writeFileSync(join(folder, 'src', 'example.ts'), text);
    const biome = join(root, 'node_modules', '.bin', 'biome');
    const result = spawnSync(biome, ['lint', '--reporter=github', '.'], { cwd: folder, encoding: 'utf8' });
    return [...result.stdout.matchAll(/^::error title=lint\/\w+\/(\w+),/gm)].map((match) => match[1] ?? '');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('the lock file names every package, so that npm ci takes it; else run: npm run lock', () => {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  assert.deepEqual(missingPackages(lock), {});
  assert.doesNotMatch(JSON.stringify(lock), /"resolved":"/, 'no registry is written into the lock file');
});
