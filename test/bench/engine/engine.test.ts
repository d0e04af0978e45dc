import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import { test } from 'node:test';
import { parseEngineOptions } from '../../../bench/engine/options.ts';
import { type EngineReport, formatEngineReport } from '../../../bench/engine/report.ts';
import { bench, scratch } from '../bench-process.ts';

const small = ['--records', '2500', '--value', '100', '--batch', '1000', '--sync-ms', '1', '--gets', '300'];

test('the engine is measured beside its peers and a bare log, and all read the same values back', async (context) => {
  const directory = await scratch(context);
  const words = [...small, '--runs', '1', '--cold-gets', '0', '--json', '--directory', directory];
  const { code, stdout, stderr } = await bench('engine', ...words);
  assert.equal(code, 0, stderr);
  const report: EngineReport = JSON.parse(stdout);
  const names = report.runs.map((run) => run.contender);
  assert.deepEqual(names, ['raw-log', 'classic-level', 'lmdb', 'sqlite', 'permafrost']);
  for (const { contender, load, gets } of report.runs) {
    assert.equal(gets?.hash, contender === 'raw-log' ? undefined : report.getsHash, contender);
    assert.ok(load.loadMs > 0 && load.diskBytes > report.payloadBytes / 2 && load.peakResidentBytes > 0, contender);
    assert.equal(load.tenthsMs.length, 10);
  }
  const own = report.runs.at(-1);
  assert.deepEqual(
    own?.gets?.warm.map(({ way, count }) => `${way} ${count}`),
    ['serial 300', 'in-flight 300', 'many 300'],
  );
  assert.equal(own?.load.facts.commits, 3);
  assert.deepEqual(await fs.readdir(directory), []);
  checkText(formatEngineReport(report));
});

function checkText(text: string): void {
  assert.match(text, /^2,500 records, keys of 32 bytes, values of 100 bytes/m);
  assert.match(text, /node v\d+/);
  assert.match(text, /^ {2}puts, times classic-level +\d[\d.]* x +1\.00 x +\d[\d.]* x/m);
  assert.match(text, /^ {2}puts, times raw-log +1\.00 x/m);
  assert.match(text, /^warm gets, 64 in flight, a second +- +\d/m);
  assert.match(text, /^event loop delay p99\.9, ms/m);
  assert.match(text, /^permafrost: .* 65,536 buckets and grows by itself/m);
}

test('cold gets are measured, or said to be impossible', async (context) => {
  const words = [...small, '--runs', '1', '--cold-gets', '50', '--only', 'permafrost'];
  const { code, stdout, stderr } = await bench('engine', ...words, '--directory', await scratch(context));
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^cold gets, one at a time(, a second +\d| +not measured: only root)/m);
});

test('cold gets go with less memory than data, or it is said that they cannot', async (context) => {
  const words = [...small, '--runs', '1', '--cold-gets', '50', '--memory', '256', '--only', 'permafrost'];
  const { code, stdout, stderr } = await bench('engine', ...words, '--directory', await scratch(context));
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^cold: the page cache emptied before(, |; not limited to )256 MiB of memory for a store/m);
});

test('memory is limited by default where the records take more of it', () => {
  assert.equal(parseEngineOptions([]).coldMemoryMiB, 512);
  assert.equal(parseEngineOptions(['--records', '1000']).coldMemoryMiB, 0);
  assert.equal(parseEngineOptions(['--memory', '0']).coldMemoryMiB, 0);
});

test('growth compares the last tenth with the first, and memory with that of a tenth', async (context) => {
  const words = ['--growth', '--records', '20000', '--value', '32', '--directory', await scratch(context)];
  const { code, stdout, stderr } = await bench('engine', ...words);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^last tenth \/ first tenth: \d/m);
  assert.match(stdout, /^peak memory: \d+ MiB, -?\d[\d.]* MiB more than with a tenth of the records/m);
});

test('a wrong option is explained', async () => {
  for (const [words, message] of [
    [['engine', '--records', 'many'], /--records takes a whole number from 1 on, found "many"/],
    [['engine', '--gets', '-1'], /--gets/],
    [['engine', '--colour'], /--colour[\s\S]*--records N/],
    [['engine', '--only', 'permafrost,rocks'], /--only knows .*, found "rocks"/],
    [['engines'], /unknown benchmark "engines"/],
  ] as const) {
    const { code, stderr } = await bench(...words);
    assert.equal(code, 2);
    assert.match(stderr, message);
  }
});

test('the defaults are those that the documents speak of', () => {
  const { recordCount, keyBytes, valueBytes, batchCount, syncMs, runCount } = parseEngineOptions([]);
  assert.deepEqual(
    [recordCount, keyBytes, valueBytes, batchCount, syncMs, runCount],
    [1_000_000, 32, 1024, 1000, 1000, 3],
  );
  const growth = parseEngineOptions(['--growth']);
  assert.deepEqual([growth.recordCount, growth.valueBytes, growth.contenders], [10_000_000, 256, ['permafrost']]);
});
