import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import { test } from 'node:test';
import { loadNames, loadOf } from '../../../bench/service/loads.ts';
import { parseServiceOptions } from '../../../bench/service/options.ts';
import { formatServiceReport, type ServiceReport } from '../../../bench/service/report.ts';
import { bench, scratch } from '../bench-process.ts';

const small = ['--records', '400', '--value', '200', '--runs', '1'];

test('the worker stores and finds beside a ceiling that only decodes', async (context) => {
  const directory = await scratch(context);
  const words = ['--only', 'puts-1-backlog,lookups-100,latency', '--json', '--directory', directory];
  const { code, stdout, stderr } = await bench('service', ...small, ...words);
  assert.equal(code, 0, stderr);
  const report: ServiceReport = JSON.parse(stdout);
  assert.deepEqual(
    report.runs.map(({ load, subject, itemCount }) => `${load} ${subject} ${itemCount}`),
    [
      ...['puts-1-backlog ceiling 80', 'puts-1-backlog worker 80'],
      ...['lookups-100 ceiling 400', 'lookups-100 worker 400', 'latency worker 1'],
    ],
  );
  const [, , ceiling, worker] = report.runs;
  assert.equal(worker?.hash, worker?.expectedHash);
  assert.notEqual(ceiling?.hash, worker?.hash);
  assert.deepEqual(await fs.readdir(directory), []);

  const text = formatServiceReport(report);
  assert.match(text, /^400 records in jobs of 100, .* values of 200 bytes; 1 run\(s\)/m);
  assert.match(text, /^jobs of one record, from a backlog: .* +ceiling +worker$/m);
  assert.match(text, /^ {2}times the ceiling +1\.00 +\d/m);
  assert.match(text, /^time of a job: p99, ms +- +\d/m);
  assert.match(text, /node v\d+/);
});

test('each load is a part of the records that were asked for', () => {
  const counts = loadNames.map((name) => {
    const load = loadOf(name, 200_000);
    return load.kind === 'latency' ? load.putCount : load.jobCount;
  });
  assert.deepEqual(counts, [2000, 2000, 40_000, 40_000, 20_000, 2000, 200]);
});

test('the defaults are three runs of all loads', () => {
  const { recordCount, valueBytes, runCount, loads } = parseServiceOptions([]);
  assert.deepEqual([recordCount, valueBytes, runCount, loads], [400_000, 1024, 3, loadNames]);
});
