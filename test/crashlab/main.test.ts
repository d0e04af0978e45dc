import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { catalogue } from '../../crashlab/catalogue.ts';

const program = fileURLToPath(new URL('../../crashlab/main.ts', import.meta.url));

function start(...words: string[]) {
  return startIn(tmpdir(), ...words);
}

/** With its temporary directories in that place. */
function startIn(place: string, ...words: string[]) {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, ...words], {
    env: { ...process.env, TMPDIR: place },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return { child, ended: endOf(child), output: text(child.stdout) };
}

async function endOf(child: ChildProcess): Promise<number | null> {
  const [status] = await once(child, 'close');
  return status;
}

function leftIn(place: string): readonly string[] {
  return readdirSync(place).filter((name) => name.startsWith('permafrost-'));
}

describe('npm run crashlab', () => {
  test('prints one JSON document, with the seed and the numbers of the round it ran', async () => {
    const { ended, output, child } = start('--fault', 'freezer-write-order', '--rounds', '2', '--seed', '3', '--json');
    const notes = text(child.stderr);
    const report = JSON.parse(await output);
    assert.equal(await ended, 0, await notes);
    assert.deepEqual([report.seed, report.passed, report.endedBy, report.seconds], [3, true, 'rounds', null]);
    assert.deepEqual([report.experiments.length, report.experiments[0].rounds], [1, 2]);
    assert.equal(report.machine.node, process.version);
    assert.match(await notes, /^crashlab: 1 experiments, seed 3$/m);
  });

  test('lists every experiment with its promise', async () => {
    const { ended, output, child } = start('--list');
    child.stderr.resume();
    const listed = await output;
    assert.equal(await ended, 0);
    for (const { name, promise } of catalogue) {
      assert.ok(listed.includes(`${name} (`) && listed.includes(promise), name);
    }
  });

  test('refuses a wrong option with status 2', async () => {
    const { ended, output, child } = start('--fault', 'nothing');
    const notes = text(child.stderr);
    assert.deepEqual([await ended, await output], [2, '']);
    assert.match(await notes, /there is no experiment 'nothing'.*\n.*--help/);
  });

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    test(`stops at ${signal}, shows what was done until then, and leaves nothing`, async () => {
      const place = mkdtempSync(join(tmpdir(), 'permafrost-main-'));
      const { ended, output, child } = startIn(place, '--fault', 'freezer-nested-crashes', '--rounds', '99');
      await once(child.stderr, 'data');
      child.kill(signal);
      child.stderr.resume();
      assert.equal(await ended, 130);
      const shown = await output;
      assert.match(shown, /^freezer-nested-crashes +5 /m);
      assert.match(shown, /^interrupted: no violation until then$/m);
      assert.deepEqual(leftIn(place), []);
      rmSync(place, { recursive: true });
    });
  }

  test('stops at SIGHUP with a worker and a mounted volume, and leaves neither', async () => {
    const place = mkdtempSync(join(tmpdir(), 'permafrost-main-'));
    const { ended, child, output } = startIn(place, '--fault', 'blocked-worker,full-disk', '--rounds', '9');
    await once(child.stderr, 'data');
    child.kill('SIGHUP');
    child.stderr.resume();
    assert.equal(await ended, 130, await output);
    assert.deepEqual(leftIn(place), []);
    rmSync(place, { recursive: true });
  });

  test('ends with 1 when the path leads nowhere', async () => {
    const words = ['--fault', 'freezer-power-loss', '--rounds', '1', '--seed', '3', '--path', 'nonsense'];
    const { ended, output, child } = start(...words);
    child.stderr.resume();
    assert.equal(await ended, 1);
    assert.match(await output, /TOO LITTLE: the path 'nonsense' leads to no state/);
  });
});

test('the catalogue names each experiment once, with rows, a promise, and the least that a round of it does', () => {
  const names = catalogue.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const { name, rows, leastWork } of catalogue) {
    assert.match(name, /^[a-z]+(-[a-z0-9]+)+$/);
    assert.ok(rows.length > 0 && rows.every((row) => row >= 1 && row <= 26), name);
    assert.ok(
      Object.values(leastWork).some((count) => count > 0),
      `${name} owes nothing`,
    );
  }
});
