import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import { test } from 'node:test';
import { parseOpenOptions } from '../../../bench/open/options.ts';
import { formatOpenReport, type OpenReport } from '../../../bench/open/report.ts';
import { bench, scratch } from '../bench-process.ts';

test('a store is opened after a clean close and after a kill, by the engine and as a shard', async (context) => {
  const directory = await scratch(context);
  const size = ['--records', '3000', '--value', '50', '--batch', '500', '--sections', '5', '--runs', '1'];
  const words = [...size, '--only', 'engine,shard', '--warm', '--json', '--directory', directory];
  const { code, stdout, stderr } = await bench('open', ...words);
  assert.equal(code, 0, stderr);
  const report: OpenReport = JSON.parse(stdout);
  for (const subject of ['engine', 'shard']) {
    for (const ending of ['clean', 'killed']) {
      const run = report.runs.find((one) => one.subject === subject && one.ending === ending && one.cache === 'warm');
      assert.ok(run !== undefined && run.ms > 0);
      assert.ok(Math.abs((run.facts.sections ?? 0) - 5) <= 1, `${run.facts.sections} sections`);
      assert.equal(run.facts.entriesScanned, ending === 'clean' ? undefined : 65_536);
    }
  }
  assert.deepEqual(await fs.readdir(directory), []);

  const text = formatOpenReport(report);
  assert.match(text, /^3,000 records, keys of 32 bytes, values of 50 bytes, .* sections of a size for 5/m);
  assert.match(text, /^after a clean close, page cache warm, ms +\d[\d.]* +\d/m);
  assert.match(text, /^ {2}entries scanned +65,536 +65,536$/m);
});

test('the defaults are a million records in a hundred sections', () => {
  const { recordCount, sectionCount, runCount, subjects } = parseOpenOptions([]);
  assert.deepEqual([recordCount, sectionCount, runCount], [1_000_000, 100, 3]);
  assert.deepEqual(subjects, ['classic-level', 'lmdb', 'sqlite', 'engine', 'shard']);
});
