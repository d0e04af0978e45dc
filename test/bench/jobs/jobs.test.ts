import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import { test } from 'node:test';
import { parseJobsOptions } from '../../../bench/jobs/options.ts';
import { formatJobsReport, type JobsReport } from '../../../bench/jobs/report.ts';
import { bench, scratch } from '../bench-process.ts';

test('a queue of mixed shape is archived, job for job as it was, and what is still needed stays', async (context) => {
  const directory = await scratch(context);
  const words = ['--jobs', '2100', '--kills', '0', '--margin', '0', '--json', '--directory', directory];
  const { code, stdout, stderr } = await bench('jobs', ...words);
  assert.equal(code, 0, stderr);
  const report: JobsReport = JSON.parse(stdout);
  assert.ok(report.jobs >= 2100, `${report.jobs}`);
  for (const shape of ['small', 'large', 'huge', 'failed', 'logged', 'flow', 'throttled', 'scheduled'] as const)
    assert.ok((report.shapes[shape] ?? 0) > 0, shape);
  assert.deepEqual([report.lost, report.left, report.leftAtEnd], [0, { 'open flow': 10 }, {}]);
  assert.equal(report.summary.removedCount, report.jobs - 10);
  assert.equal(report.summary.stays.flow, 10);
  assert.equal(report.schedulers, 10);
  assert.ok(report.memory.after < report.memory.before / 2);
  assert.deepEqual(await fs.readdir(directory), []);
  assert.match(formatJobsReport(report), /^jobs that are not as they were +0$/m);
});

test('the defaults are a hundred thousand jobs and three kills', () => {
  const { jobCount, killCount, marginSeconds } = parseJobsOptions([]);
  assert.deepEqual([jobCount, killCount, marginSeconds], [100_000, 3, 5]);
});
