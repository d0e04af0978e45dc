import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { conformanceDigest, conformanceHash, conformanceStoreCount } from '../../tools/golden/conformance.ts';
import type { FileResult } from '../../tools/golden/result.ts';
import { runGolden } from '../../tools/golden/run.ts';
import { SimulatedDisk } from '../simulation/simulated-disk.ts';

const scenarios = fileURLToPath(new URL('./scenarios', import.meta.url));
const program = fileURLToPath(new URL('../../tools/golden/main.ts', import.meta.url));

async function results(...paths: readonly string[]): Promise<FileResult[]> {
  const found: FileResult[] = [];
  for await (const result of runGolden(paths)) found.push(result);
  return found;
}

async function scratch(context: TestContext): Promise<string> {
  const directory = await fs.mkdtemp(join(os.tmpdir(), 'permafrost-golden-test-'));
  context.after(() => fs.rm(directory, { recursive: true, force: true }));
  return directory;
}

/** A copy of one of the project's scenarios with one text in it replaced. */
async function changedScenario(directory: string, name: string, from: string, to: string): Promise<string> {
  const text = await fs.readFile(join(scenarios, name), 'utf8');
  assert.ok(text.includes(from));
  const path = join(directory, name);
  await fs.writeFile(path, text.replace(from, to));
  return path;
}

function run(...words: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...words], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

test('every scenario and store of the project is as expected', async () => {
  const all = await results(scenarios);
  assert.equal(all.length, 10);
  for (const result of all) {
    assert.deepEqual(
      { ...result, operations: result.operations > 20 },
      {
        file: result.file,
        operations: true,
        mismatches: 0,
        first: null,
      },
    );
  }
});

test('the first store of the published workload has the published digest, and so has the second', async () => {
  const digests = await Promise.all([0, 1].map((seed) => conformanceDigest(new SimulatedDisk(), seed)));
  assert.deepEqual(
    digests.map((digest) => digest.toString('hex')),
    [
      'd8d945f3007cfe07fd502a4ba65ad8a5b6ec7a954533c1cdc9c8f88005675ddd',
      'bb80ec14ada8f050fb4691eeea99f053ae017dca700ae2466a7e922707a753e5',
    ],
  );
});

test('the 512 stores of the published workload have the published hash', async () => {
  assert.equal(
    await conformanceHash(conformanceStoreCount, () => new SimulatedDisk()),
    '96804c24d9913b87424a9091d19bf4ecc8e011d1561a64c77de6333df92fcfad',
  );
});

test('a wrong byte in a file, a wrong cursor and a wrong checkpoint are each one mismatch', async (context) => {
  const directory = await scratch(context);
  const cases: readonly (readonly [from: string, to: string, first: RegExp])[] = [
    ['> key/0000000000000000 84 ', '> key/0000000000000000 84 0', /^line \d+: files: expected key\/0{16} 84 0/],
    ['00000008\n', '00000009\n', /^line 5: put 0000000000000001 696365: expected cursor 0{39}9, found cursor 0{39}8$/],
    ['> checkpoint 0000000000000001', '> checkpoint 0000000000000002', /^line \d+: sync: expected checkpoint 0{15}2/],
    ['> some 696365', '> none', /^line 7: get 0000000000000001: expected none, found some 696365$/],
  ];
  for (const [from, to, first] of cases) {
    const [result] = await results(await changedScenario(directory, 'first-steps.txt', from, to));
    assert.equal(result?.mismatches, 1);
    assert.match(result.first ?? '', first);
  }
});

test('with compression another frame size is no mismatch, another value is', async (context) => {
  const directory = await scratch(context);
  const text = await fs.readFile(join(scenarios, 'compressed.txt'), 'utf8');
  const cursor = /> cursor [0-9a-f]{40}/.exec(text)?.[0] ?? '';
  const other = await changedScenario(directory, 'compressed.txt', cursor, `> cursor ${'0'.repeat(38)}77`);
  assert.equal((await results(other))[0]?.mismatches, 0);
  const wrong = await changedScenario(directory, 'compressed.txt', '> some 5a', '> some 5b');
  assert.equal((await results(wrong))[0]?.mismatches, 1);
});

test('an error of the engine is a mismatch that names it, and the rest of the scenario is replayed', async (context) => {
  const directory = await scratch(context);
  const changed = await changedScenario(directory, 'first-steps.txt', 'open none', 'get 0000000000000000');
  const [result] = await results(changed);
  assert.equal(result?.operations, 31);
  assert.match(result.first ?? '', /expected ok, found error malformed: no store is open/);
});

test('a wrong value of a store is a mismatch, and the store is not touched by its check', async (context) => {
  const directory = await scratch(context);
  await fs.cp(join(scenarios, 'half-resized'), directory, { recursive: true });
  const expectation = join(directory, 'expect.json');
  const text = await fs.readFile(expectation, 'utf8');
  await fs.writeFile(expectation, text.replace(/": "([0-9a-f]+)"\n/, '": "00$1"\n').replace(': null', ': "00"'));
  const table = await fs.readFile(join(directory, 'table/7461626c65'));
  const [result] = await results(directory);
  assert.ok((result?.mismatches ?? 0) >= 1);
  assert.match(result?.first ?? '', /^get [0-9a-f]{32} at epoch \d+: expected some 00/);
  assert.deepEqual(await fs.readFile(join(directory, 'table/7461626c65')), table);
});

test('a store that cannot be opened is a mismatch', async (context) => {
  const directory = await scratch(context);
  await fs.cp(join(scenarios, 'half-resized'), directory, { recursive: true });
  await fs.rm(join(directory, 'value/0000000000000000'));
  const [result] = await results(directory);
  assert.equal(result?.mismatches, 1);
  assert.match(result?.first ?? '', /^the store as a whole: expected no error, found error /);
});

test('what cannot be read is said, counts as a mismatch, and does not stop the others', async (context) => {
  const directory = await scratch(context);
  await fs.mkdir(join(directory, 'empty'));
  await fs.writeFile(join(directory, 'prose.txt'), 'This is no scenario.\n');
  const found = await results(
    join(directory, 'missing'),
    join(directory, 'empty'),
    join(directory, 'prose.txt'),
    join(scenarios, 'first-steps.txt'),
  );
  assert.deepEqual(
    found.map((result) => result.mismatches),
    [1, 1, 1, 0],
  );
  assert.match(found[0]?.first ?? '', /^unreadable: ENOENT/);
  assert.match(found[1]?.first ?? '', /^unreadable: a directory without scenarios/);
  assert.match(found[2]?.first ?? '', /^unreadable: no line of settings/);
});

test('the program prints one JSON line a file and ends with 0 when all is as expected', async () => {
  const { code, stdout, stderr } = await run(join(scenarios, 'first-steps.txt'), join(scenarios, 'crashes.txt'));
  assert.equal(code, 0);
  assert.equal(stderr, '');
  const lines = stdout.trim().split('\n');
  assert.deepEqual(
    lines.map((line) => Object.keys(JSON.parse(line))),
    [
      ['file', 'operations', 'mismatches', 'first'],
      ['file', 'operations', 'mismatches', 'first'],
    ],
  );
});

test('the program ends with 1 on a mismatch, and says where', async (context) => {
  const changed = await changedScenario(await scratch(context), 'first-steps.txt', '> some 696365', '> none');
  const { code, stdout, stderr } = await run(changed);
  assert.equal(code, 1);
  assert.equal(JSON.parse(stdout).mismatches, 1);
  assert.match(stderr, /^golden: .*first-steps\.txt: line 7: /);
});

test('the program explains wrong words and ends with 1', async () => {
  for (const [words, message] of [
    [[], /no path given[\s\S]*usage:/],
    [['--unknown'], /--unknown[\s\S]*usage:/],
    [['--conformance', '--stores', '0'], /--stores takes a number from 1 to 512/],
    [['--conformance', 'a-path'], /--conformance takes no paths/],
  ] as const) {
    const { code, stdout, stderr } = await run(...words);
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, message);
  }
});

test('the program prints the hash over the first stores alone', async () => {
  const { code, stdout } = await run('--conformance', '--stores', '2');
  assert.equal(code, 0);
  assert.match(stdout, /^[0-9a-f]{64}\n$/);
});
