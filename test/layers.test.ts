import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { layerBreaches } from '../tools/house/layers.ts';
import { readSources } from '../tools/house/source.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Files that do nothing but import what is listed, each at the line of its place in the list. */
function files(imports: Readonly<Record<string, readonly string[]>>): { path: string; text: string }[] {
  return Object.entries(imports).map(([path, lines]) => ({ path, text: lines.join('\n') }));
}

test('no file of src imports upwards, sideways or in a circle', () => {
  const sources = readSources(root, ['src']);
  assert.ok(sources.length > 0, 'the sources are where they were');
  assert.deepEqual(layerBreaches(sources), []);
});

describe('the check of the layers', () => {
  test('lets a folder import all that stands to its right', () => {
    const sources = files({
      'src/base/a.ts': [],
      'src/codec/b.ts': ["import { a } from '../base/a.ts';"],
      'src/protocol/c.ts': ["import { a } from '../base/a.ts';", "import { b } from '../codec/b.ts';"],
      'src/shard/d.ts': ["import { a } from '../base/a.ts';"],
      'src/queue/e.ts': ["import { c } from '../protocol/c.ts';", "import { d } from '../shard/d.ts';"],
      'src/client/f.ts': ["import { c } from '../protocol/c.ts';"],
      'src/jobs/h.ts': ["import { f } from '../client/f.ts';", "import { c } from '../protocol/c.ts';"],
      'src/cli/g.ts': [
        "import { f } from '../client/f.ts';",
        "import { e } from '../queue/e.ts';",
        "import { h } from '../jobs/h.ts';",
      ],
    });
    assert.deepEqual(layerBreaches(sources), []);
  });

  const refused: readonly [string, string, string, string][] = [
    ['an upward import', 'src/codec/a.ts', 'src/disk/b.ts', "import { b } from '../disk/b.ts';"],
    ['an upward type import', 'src/blob/a.ts', 'src/journal/b.ts', "import type { B } from '../journal/b.ts';"],
    ['a type inside an expression', 'src/blob/a.ts', 'src/shard/b.ts', "let b: import('../shard/b.ts').B;"],
    ['an upward re-export', 'src/queue/a.ts', 'src/service/b.ts', "export { b } from '../service/b.ts';"],
    ['a bare import for its effect', 'src/freezer/a.ts', 'src/shard/b.ts', "import '../shard/b.ts';"],
    ['an import at run time', 'src/queue/a.ts', 'src/cli/b.ts', "  await import('../cli/b.ts');"],
    ['the client that sees the engine', 'src/client/a.ts', 'src/freezer/b.ts', "import { b } from '../freezer/b.ts';"],
    ['jobs that see the queue', 'src/jobs/a.ts', 'src/queue/b.ts', "import { b } from '../queue/b.ts';"],
    ['jobs that see the engine', 'src/jobs/a.ts', 'src/shard/b.ts', "import { b } from '../shard/b.ts';"],
    ['the client that sees jobs', 'src/client/a.ts', 'src/jobs/b.ts', "import { b } from '../jobs/b.ts';"],
    ['the client that sees the queue', 'src/client/a.ts', 'src/queue/b.ts', "import { b } from '../queue/b.ts';"],
    ['the service that sees the client', 'src/service/a.ts', 'src/client/b.ts', "import { b } from '../client/b.ts';"],
    ['the engine that sees the wire', 'src/shard/a.ts', 'src/protocol/b.ts', "import { b } from '../protocol/b.ts';"],
    ['the wire that sees the engine', 'src/protocol/a.ts', 'src/disk/b.ts', "import { b } from '../disk/b.ts';"],
  ];
  for (const [what, from, to, line] of refused) {
    test(`refuses ${what}`, () => {
      const breaches = layerBreaches(files({ [from]: ['', line], [to]: [] }));
      assert.equal(breaches.length, 1);
      assert.match(breaches[0] ?? '', new RegExp(`^${from}:2: \\w+ may not import \\w+ \\(${to}\\)$`));
    });
  }

  test('reads an import that runs over several lines', () => {
    const sources = files({ 'src/base/a.ts': ['import {', '  b,', "} from '../codec/b.ts';"], 'src/codec/b.ts': [] });
    assert.deepEqual(layerBreaches(sources), ['src/base/a.ts:1: base may not import codec (src/codec/b.ts)']);
  });

  test('finds a cycle inside a folder, of types alone as well, and names each file on it', () => {
    const sources = files({
      'src/blob/a.ts': ["import type { B } from './b.ts';"],
      'src/blob/b.ts': ["import { c } from './c.ts';"],
      'src/blob/c.ts': ["import type { A } from './a.ts';"],
      'src/blob/d.ts': ["import { a } from './a.ts';"],
    });
    assert.deepEqual(layerBreaches(sources), [
      'a cycle: src/blob/a.ts → src/blob/b.ts → src/blob/c.ts → src/blob/a.ts',
    ]);
  });

  test('lets several files of a folder rest on the same one', () => {
    const sources = files({
      'src/blob/a.ts': ["import { b } from './b.ts';", "import { c } from './c.ts';"],
      'src/blob/b.ts': ["import { c } from './c.ts';"],
      'src/blob/c.ts': [],
    });
    assert.deepEqual(layerBreaches(sources), []);
  });

  test('refuses a folder that is no layer, a way out of src and a file that is not there', () => {
    const sources = files({
      'src/extras/a.ts': [],
      'src/index.ts': [],
      'src/cli/b.ts': ["import '../../tools/c.mjs';"],
      'src/cli/c.ts': ["import './gone.ts';"],
    });
    assert.deepEqual(layerBreaches(sources), [
      'src/extras/a.ts: lies in no known layer of src',
      'src/index.ts: lies in no known layer of src',
      'src/cli/b.ts:1: imports tools/c.mjs, which lies outside src',
      'src/cli/c.ts:1: imports src/cli/gone.ts, which is not there',
    ]);
  });
});
