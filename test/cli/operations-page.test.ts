import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const page = readFileSync(new URL('../../docs/OPERATIONS.md', import.meta.url), 'utf8');
const sources = new URL('../../src/', import.meta.url);

/** What travels to producers and readers is explained in PROTOCOL.md. */
const elsewhere = new Set(['ProtocolErrorCode', 'RefusalCode']);

function sourceFiles(): readonly { readonly path: string; readonly text: string }[] {
  return readdirSync(sources, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => ({ path, text: readFileSync(new URL(path, sources), 'utf8') }));
}

/** First cells of the table rows below a heading. */
function rowsBelow(heading: string): readonly string[] {
  const [, section = ''] = page.split(`${heading}\n`);
  const body = section.split(/^#/m)[0] ?? '';
  return [...body.matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1] ?? '');
}

test('every error code of the source has its row, with what to do, and no row is left over', () => {
  const unions = sourceFiles().flatMap(({ text }) => [
    ...text.matchAll(/^export type (\w+ErrorCode|RefusalCode) =([^;]+);/gm),
  ]);
  assert.ok(unions.length >= 10, 'the unions of codes are found');
  for (const [, name = '', members = ''] of unions) {
    if (elsewhere.has(name)) continue;
    const codes = [...members.matchAll(/'([a-z-]+)'/g)].map((match) => match[1] ?? '');
    assert.deepEqual([...rowsBelow(`### ${name}`)].sort(), codes.sort(), name);
  }
  const known = new Set(unions.map(([, name]) => name));
  for (const [, heading] of page.matchAll(/^### (\w+)$/gm))
    assert.ok(known.has(heading), `${heading} is in the source`);
});

test('every metric of the source has its row with its type, and no row is left over', () => {
  const source = readFileSync(new URL('service/metrics.ts', sources), 'utf8');
  const typeOf = new Map([
    ['shown', 'gauge'],
    ['tallied', 'histogram'],
  ]);
  const found = [...source.matchAll(/this\.#(counter|histogram|tallied|gauge|shown)\(\s*'(\w+)'/g)].map(
    ([, kind = '', name = '']) => `permafrost_${name} ${typeOf.get(kind) ?? kind}`,
  );
  assert.ok(found.length >= 20, 'the metrics are found');
  const rows = [...page.matchAll(/^\| `(permafrost_\w+)` \| (\w+) \|/gm)].map(([, name, type]) => `${name} ${type}`);
  assert.deepEqual(rows.sort(), found.sort());
});
