import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseEngineOptions } from '../../bench/engine-options.ts';
import { median, percentile } from '../../bench/measure.ts';
import { hashOfValues, Workload } from '../../bench/workload.ts';

const program = fileURLToPath(new URL('../../bench/main.ts', import.meta.url));
const small = ['--records', '2500', '--value', '100', '--batch', '1000', '--sync-ms', '1'];

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function bench(...words: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...words], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

async function scratch(context: TestContext): Promise<string> {
  const directory = await fs.mkdtemp(join(os.tmpdir(), 'permafrost-bench-test-'));
  context.after(() => fs.rm(directory, { recursive: true, force: true }));
  return directory;
}

test('the engine is measured beside LevelDB and a bare log, and all read the same values back', async (context) => {
  const directory = await scratch(context);
  const { code, stdout } = await bench('engine', ...small, '--json', '--directory', directory);
  assert.equal(code, 0);
  const report = JSON.parse(stdout);
  assert.deepEqual(
    report.runs.map((run: { contender: string }) => run.contender),
    ['raw-log', 'classic-level', 'permafrost'],
  );
  const [log, level, permafrost] = report.runs;
  assert.equal(log.readHash, undefined);
  assert.equal(level.readHash, report.sampleHash);
  assert.equal(permafrost.readHash, report.sampleHash);
  assert.equal(permafrost.facts.commits, 3);
  assert.ok(permafrost.facts.syncs >= 1);
  for (const run of report.runs) {
    assert.ok(run.loadMs > 0 && run.diskBytes > report.payloadBytes / 2 && run.peakResidentBytes > 0, run.contender);
  }
  assert.deepEqual(await fs.readdir(directory), []);
});

test('the report names its inputs, the machine, and how much faster than LevelDB', async (context) => {
  const { code, stdout } = await bench('engine', ...small, '--runs', '2', '--directory', await scratch(context));
  assert.equal(code, 0);
  assert.match(stdout, /^2,500 records, keys of 32 bytes, values of 100 bytes/m);
  assert.match(stdout, /node v\d+/);
  assert.match(stdout, /^load, times classic-level +\d[\d.]* x +1\.00 x +\d[\d.]* x$/m);
  assert.match(stdout, /^batch median, ms/m);
});

test('a wrong option is explained', async () => {
  for (const [words, message] of [
    [['engine', '--records', 'many'], /--records takes a whole number from 1 on, found "many"/],
    [['engine', '--colour'], /--colour[\s\S]*--records N/],
    [['engine', '--only', 'permafrost,sqlite'], /--only knows .*, found "sqlite"/],
    [['engines'], /unknown benchmark "engines"/],
  ] as const) {
    const { code, stderr } = await bench(...words);
    assert.equal(code, 2);
    assert.match(stderr, message);
  }
});

test('the defaults are those that the README speaks of', () => {
  const { recordCount, keyBytes, valueBytes, batchCount, syncMs } = parseEngineOptions([]);
  assert.deepEqual([recordCount, keyBytes, valueBytes, batchCount, syncMs], [1_000_000, 32, 1024, 1000, 1000]);
});

test('the workload is the same each time it is made, and the last batch may be short', () => {
  const size = { recordCount: 25, keyBytes: 32, valueBytes: 10, batchCount: 10 };
  const workload = new Workload(size);
  assert.deepEqual([workload.batches, workload.batch(2).length, workload.payloadBytes], [3, 5, 1050]);
  assert.deepEqual(new Workload(size).batch(1), workload.batch(1));
  const keys = [0, 1, 2].flatMap((index) => workload.batch(index).map((record) => record.key.toString('hex')));
  assert.equal(new Set(keys).size, 25);
});

test('the sample holds whole batches in another order, the first and the last among them', () => {
  const workload = new Workload({ recordCount: 300, keyBytes: 32, valueBytes: 10, batchCount: 10 });
  const inSample = workload.sample().map((record) => record.key.toString('hex'));
  assert.equal(inSample.length, 100);
  const first = workload.batch(0).map((record) => record.key.toString('hex'));
  assert.ok(first.every((key) => inSample.includes(key)));
  assert.ok(workload.batch(29).every((record) => inSample.includes(record.key.toString('hex'))));
  assert.notDeepEqual(inSample.slice(0, 10), first);
});

test('the hash depends on the values and their order', () => {
  const [a, b] = [Buffer.from('a'), Buffer.from('b')];
  assert.notEqual(hashOfValues([a, b]), hashOfValues([b, a]));
});

test('median and percentile are those of the sorted numbers', () => {
  assert.deepEqual([median([3, 1, 2]), median([4, 1, 2, 3]), median([])], [2, 2.5, 0]);
  assert.deepEqual([percentile([5, 1, 9], 1), percentile([5, 1, 9], 0)], [9, 1]);
});
