import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe } from 'node:test';
import { type Config, loadConfig } from '../../src/service/config.ts';
import { chartTest, configText, scenarios } from './chart.ts';

/** What a worker of shard 2 would take it for, with the variables that its pod has. */
function configOf(text: string): Config {
  const folder = mkdtempSync(join(tmpdir(), 'permafrost-chart-'));
  try {
    const file = join(folder, 'config.json');
    // The worker looks whether authority and certificate can be read; in a pod the Secrets are mounted there.
    const authority = join(folder, 'ca.crt');
    writeFileSync(authority, '');
    writeFileSync(file, text.replaceAll(/\/etc\/permafrost-redis-(ca|cert)\/[\w.]+/g, authority));
    const env = { PERMAFROST_DATA_DIR: '/data', PERMAFROST_HTTP_PORT: '8410', PERMAFROST_SHARD: '2' };
    return loadConfig({ files: [file], env });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('the settings that the chart writes', () => {
  for (const file of scenarios) {
    chartTest(`are understood by the worker in the scenario ${basename(file, '-values.yaml')}`, () => {
      const config = configOf(configText(['--values', file]));
      assert.deepEqual([config.dataDir, config.http.host, config.shard], ['/data', '0.0.0.0', 2]);
      assert.match(config.redis.url, /^rediss?:\/\//);
    });
  }

  chartTest('reach the worker as they were given', () => {
    const values = ['archive=orders', 'config.sync.intervalMs=1234', 'shutdown.deadlineSeconds=7'];
    const config = configOf(configText(['--set', values.join(',')]));
    assert.deepEqual([config.archive, config.sync.intervalMs, config.closeDeadlineMs], ['orders', 1234, 7000]);
    assert.equal(config.http.statusPage, true);
  });

  chartTest('reach the worker when they switch something off', () => {
    const values = ['http.statusPage=false', 'config.scrub.intervalS=0', 'config.commit.delayMs=0'];
    const config = configOf(configText(['--set', values.join(',')]));
    assert.deepEqual([config.http.statusPage, config.scrub.intervalS, config.commit.delayMs], [false, 0, 0]);
  });
});
