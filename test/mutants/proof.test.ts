import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kill } from 'node:process';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { Mutant } from '../../mutants/mutant.ts';
import { type Proof, proveAll } from '../../mutants/proof.ts';
import { allKilled, documentOf, tableOf } from '../../mutants/report.ts';

const source = `export function sum(left: number, right: number): number {
  return left + right;
}
`;

/** The tests leave the ids of their processes in a directory. */
const testsFor = (runs: string): string => `import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { sum } from '../src/sum.ts';

describe('a sum', () => {
  test('of two numbers (the usual case)', () => {
    writeFileSync('${runs}/' + process.pid, '');
    assert.equal(sum(1, 2), 3);
  });
  test('of nothing', () => assert.equal(sum(0, 0), 0));
  test('of much', { skip: true }, () => assert.equal(sum(1e9, 1e9), 2e9));
});
`;

function mutant(name: string, replacement: string, by = 'two numbers (the usual', text = 'left + right'): Mutant {
  return {
    name,
    file: 'src/sum.ts',
    text,
    replacement,
    breaks: 'It is wrong.',
    killer: { file: killerFile, test: by },
  };
}

const killerFile = 'test/sum.test.ts';
const limitMinMs = 1500;
const endless = mutant('endless', 'endless()', undefined, 'left + right;\n}');

describe('a run of the mutants', () => {
  let place: { readonly root: string; readonly directory: string };
  let runs: string;

  beforeEach(() => {
    const all = mkdtempSync(join(tmpdir(), 'permafrost-mutants-test-'));
    place = { root: join(all, 'tree'), directory: join(all, 'copies') };
    runs = join(all, 'runs');
    for (const folder of ['tree/src', 'tree/test', 'copies', 'runs']) mkdirSync(join(all, folder), { recursive: true });
    writeFileSync(join(place.root, 'src/sum.ts'), source);
    writeFileSync(join(place.root, killerFile), testsFor(runs));
  });
  afterEach(() => rmSync(join(place.root, '..'), { recursive: true }));

  async function proved(mutants: readonly Mutant[], jobs = 2): Promise<readonly Proof[]> {
    const told: Proof[] = [];
    const { signal } = new AbortController();
    const proofs = await proveAll(mutants, place, { jobs, limitMinMs, signal, onProof: (proof) => told.push(proof) });
    assert.deepEqual(new Set(told), new Set(proofs));
    assert.equal(readFileSync(join(place.root, 'src/sum.ts'), 'utf8'), source, 'the tree itself is only read');
    assert.deepEqual(readdirSync(place.root).sort(), ['src', 'test']);
    return proofs;
  }

  test('reports those that are killed, those that survive, and those that prove nothing', async () => {
    const proofs = await proved([
      mutant('killed', 'left - right'),
      mutant('survivor', 'left - right', 'of nothing'),
      mutant('killed-too', 'left * right'),
      mutant('stale', '', 'of nothing', 'no such text'),
      mutant('twice', '', 'of nothing', 'left'),
      mutant('without-a-test', 'left - right', 'of three numbers'),
      mutant('with-a-skipped-test', 'left - right', 'of much'),
      mutant('unloadable', 'left +'),
    ]);
    assert.deepEqual(
      proofs.map(({ mutant: { name }, fate }) => [name, fate.kind]),
      [
        ['killed', 'killed'],
        ['survivor', 'survived'],
        ['killed-too', 'killed'],
        ['stale', 'stale'],
        ['twice', 'stale'],
        ['without-a-test', 'unproven'],
        ['with-a-skipped-test', 'unproven'],
        ['unloadable', 'unloadable'],
      ],
    );
    const killers = proofs.map(({ fate }) => (fate.kind === 'killed' ? fate.test : ''));
    assert.equal(killers[0], 'of two numbers (the usual case)');
    assert.equal(allKilled(proofs), false);
    assert.equal(allKilled(proofs.slice(0, 1)), true);
    assert.match(tableOf(proofs), /^survivor +NOBODY: it survived/m);
    assert.match(tableOf(proofs), /^2 of 8 mutants were killed$/m);
    assert.deepEqual(JSON.parse(documentOf(proofs)).killed, 2);
  });

  test('counts a test that does not end as killed, says so, and ends it', async () => {
    const [proof] = await proved([
      { ...endless, replacement: 'left + right + loop();\n}\nfunction loop() { for (;;); }' },
    ]);
    assert.deepEqual(proof?.fate, { kind: 'killed', by: 'timeout', test: endless.killer.test });
    assert.match(tableOf([proof]), /^endless +timeout of: two numbers/m);
    await gone(runs);
  });

  test('ends everything that it started when it is interrupted', async () => {
    const mutants = [{ ...endless, replacement: 'left + right + loop();\n}\nfunction loop() { for (;;); }' }];
    const interruption = new AbortController();
    const { signal } = interruption;
    const onProof = (): void => assert.fail('it was interrupted');
    const watcher = watch(runs, () => {
      // The run without the mutant has left the first name, the run with it the second.
      if (readdirSync(runs).length === 2) interruption.abort();
    });
    const running = proveAll(mutants, place, { jobs: 1, limitMinMs: 60_000, signal, onProof });
    await assert.rejects(running, { name: 'AbortError' });
    watcher.close();
    await gone(runs);
  });
});

/** The processes that ran tests, and so their groups, are no more as soon as the system has taken note of it. */
async function gone(runs: string): Promise<void> {
  const pids = readdirSync(runs).map(Number);
  assert.equal(pids.length, 2);
  const limit = AbortSignal.timeout(30_000);
  while (pids.some(isThere)) {
    assert.ok(!limit.aborted, `${pids} are still there`);
    await new Promise(setImmediate);
  }
}

function isThere(pid: number): boolean {
  try {
    return kill(pid, 0);
  } catch {
    return false;
  }
}
