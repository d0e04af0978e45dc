import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lookupOutcomes } from '../../src/protocol/reply.ts';
import { loadConfig } from '../../src/service/config.ts';
import { type MetricSources, Metrics, type ShardFacts } from '../../src/service/metrics.ts';
import { metricsPage } from '../../src/service/metrics-page.ts';

const facts: ShardFacts = {
  epoch: 7,
  records: 300,
  unsyncedAgeS: 1.5,
  uncommittedAgeS: 0.25,
  tableBuckets: 100,
  resizeProgress: 0.5,
  operations: { put: 3, get: 2, has: 0, 'unnecessary-read': 1, 'unnecessary-write': 0, resize: 0 },
  chainReads: { counts: [4, 3, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1], sum: 3 + 4 + 100 },
  recoveryS: 0.2,
  readOnly: false,
};

function metrics(sources: Partial<MetricSources> = {}, shard = 3): Metrics {
  return new Metrics(
    { archive: 'main', shard, version: '1.2.3' },
    {
      shard: () => facts,
      diskSpace: () => ({ free: 1000, size: 4000 }),
      redisWarnings: () => [{ code: 'may-evict', message: 'it may' }],
      lastScrubS: () => 1_800_000_000,
      lastBackupS: async () => 0,
      pauses: () => ['redis'],
      jobCounts: async () => [
        { queue: 'put', state: 'waiting', count: 9 },
        { queue: 'put', state: 'failed', count: 2 },
      ],
      ...sources,
    },
  );
}

/** As a scraper sees the metrics of these shards. */
async function textOf(...shards: readonly Metrics[]): Promise<string> {
  return (await metricsPage(loadConfig({ flags: { shards: '3-4' } }), shards).body()).text;
}

async function values(of: Metrics): Promise<ReadonlyMap<string, number>> {
  const lines = (await textOf(of)).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const space = line.lastIndexOf(' ');
      return [
        line
          .slice(0, space)
          .replace(/,?archive="main",shard="3"/, '')
          .replace('{}', ''),
        Number(line.slice(space + 1)),
      ];
    }),
  );
}

test('counts a put whose wait is no time, and leaves the time out', async () => {
  const all = metrics();
  for (const waitS of [Number.NaN, Number.POSITIVE_INFINITY, -1]) {
    all.putStored({ counts: { stored: 1, unchanged: 0, kept: 0 }, bytes: 1, waitS });
  }
  const now = await values(all);
  const names = ['permafrost_put_jobs_total{outcome="completed"}', 'permafrost_put_wait_seconds_count'];
  assert.deepEqual(
    names.map((name) => now.get(name) ?? 0),
    [3, 0],
  );
});

test('counts puts by outcome, in records, bytes and jobs', async () => {
  const all = metrics();
  all.putStored({ counts: { stored: 3, unchanged: 2, kept: 1 }, bytes: 99, waitS: 0.004 });
  all.putRefused('limit-exceeded');
  const now = await values(all);
  assert.deepEqual(
    [
      'permafrost_archive_records_total{outcome="stored"}',
      'permafrost_duplicate_records_total',
      'permafrost_archive_bytes_total',
      'permafrost_put_jobs_total{outcome="completed"}',
      'permafrost_refused_jobs_total{queue="put",code="limit-exceeded"}',
      'permafrost_put_wait_seconds_bucket{le="0.005"}',
    ].map((name) => now.get(name)),
    [3, 2, 99, 1, 1, 1],
  );
});

test('counts damage by kind of file, from the first scrape on, and tells the last scrub and backup', async () => {
  const all = metrics();
  const none = await values(all);
  const files = ['key', 'value', 'unknown'].map((file) => `permafrost_corrupt_records_total{file="${file}"}`);
  assert.deepEqual(
    files.map((name) => none.get(name)),
    [0, 0, 0],
  );
  all.scrubFound('value');
  all.scrubRead(4096);
  all.lookupAnswered({ counts: new Map([['corrupt', 2]]), durationS: 0.1 });
  const now = await values(all);
  assert.deepEqual(
    [
      ...files,
      'permafrost_scrub_bytes_total',
      'permafrost_scrub_last_success_timestamp_seconds',
      'permafrost_backup_last_success_timestamp_seconds',
    ].map((name) => now.get(name)),
    [0, 1, 2, 4096, 1_800_000_000, 0],
  );
});

test('tells how long lookups took by the worst of their answers, from the first scrape on', async () => {
  const all = metrics();
  const bucket = (outcome: string) => `permafrost_lookup_duration_seconds_bucket{le="0.25",outcome="${outcome}"}`;
  const none = await values(all);
  assert.deepEqual(
    lookupOutcomes.map((outcome) => none.get(bucket(outcome))),
    lookupOutcomes.map(() => 0),
  );
  all.lookupAnswered({ counts: new Map([['found', 9]]), durationS: 0.2 });
  for (const outcome of lookupOutcomes) {
    all.lookupAnswered({ counts: new Map([...([['found', 9]] as const), [outcome, 1]]), durationS: 0.2 });
  }
  all.lookupAnswered({ counts: new Map([...([['corrupt', 1]] as const), ['expired', 1]]), durationS: 0.2 });
  const now = await values(all);
  assert.deepEqual(
    lookupOutcomes.map((outcome) => [outcome, now.get(bucket(outcome))]),
    lookupOutcomes.map((outcome) => [outcome, outcome === 'found' || outcome === 'corrupt' ? 2 : 1]),
  );
});

test('counts a write that failed once, by its reason, however the shard comes back', async () => {
  const all = metrics();
  const counted = async () => {
    const now = await values(all);
    return ['failed', 'full'].map((reason) => now.get(`permafrost_fsync_errors_total{reason="${reason}"}`));
  };
  assert.deepEqual(await counted(), [0, 0]);
  for (const state of ['disk-full', 'recovering', 'disk-full', 'recovering', 'open'] as const) all.shardChanged(state);
  assert.deepEqual(await counted(), [0, 1]);
  for (const state of ['recovering', 'disk-full', 'recovering', 'open'] as const) all.shardChanged(state);
  assert.deepEqual(await counted(), [1, 1]);
  for (const state of ['recovering', 'failed', 'closing', 'closed'] as const) all.shardChanged(state);
  assert.deepEqual(await counted(), [2, 1]);
});

test('tells the reads along chains as a histogram that the engine has counted', async () => {
  const now = await values(metrics());
  const name = 'permafrost_lookup_chain_reads';
  assert.deepEqual(
    [`_bucket{le="0"}`, `_bucket{le="1"}`, `_bucket{le="2"}`, `_bucket{le="89"}`, `_bucket{le="+Inf"}`].map((end) =>
      now.get(name + end),
    ),
    [4, 7, 9, 9, 10],
  );
  assert.deepEqual([now.get(`${name}_sum`), now.get(`${name}_count`)], [107, 10]);
});

test('asks Redis once a scrape for the jobs of all states, and shows those that are kept because they were refused', async () => {
  let askedCount = 0;
  const all = metrics({
    jobCounts: async () => {
      askedCount += 1;
      return [
        { queue: 'put', state: 'failed', count: 5 },
        { queue: 'lookup', state: 'failed', count: 0 },
        { queue: 'put', state: 'waiting', count: 9 },
      ];
    },
  });
  const now = await values(all);
  assert.equal(askedCount, 1);
  const dead = [...now].filter(([name]) => name.startsWith('permafrost_dead_letter_records'));
  assert.deepEqual(dead, [
    ['permafrost_dead_letter_records{queue="put"}', 5],
    ['permafrost_dead_letter_records{queue="lookup"}', 0],
  ]);
  await values(all);
  assert.equal(askedCount, 2);
});

test('shows the state of shard, disk, queues and intake at each scrape', async () => {
  const now = await values(metrics());
  assert.deepEqual(
    [
      'permafrost_checkpoint_epoch',
      'permafrost_uncommitted_oldest_age_seconds',
      'permafrost_table_load_ratio',
      'permafrost_readonly',
      'permafrost_resize_progress_ratio',
      'permafrost_engine_operations_total{operation="unnecessary-read"}',
      'permafrost_disk_free_bytes',
      'permafrost_disk_size_bytes',
      'permafrost_redis_unsuitable{reason="may-evict"}',
      'permafrost_redis_unsuitable{reason="old-version"}',
      'permafrost_queue_jobs{queue="put",state="waiting"}',
      'permafrost_intake_paused{reason="redis"}',
      'permafrost_intake_paused{reason="low-disk"}',
    ].map((name) => now.get(name)),
    [7, 0.25, 3, 0, 0.5, 1, 1000, 4000, 1, 0, 9, 1, 0],
  );
});

test('shows nothing, rather than a zero, for what is not known', async () => {
  const unknown = {
    shard: () => undefined,
    diskSpace: () => undefined,
    redisWarnings: () => undefined,
    lastScrubS: () => undefined,
    jobCounts: () => Promise.reject(new Error('no Redis')),
  };
  const now = await values(metrics(unknown));
  for (const name of [
    'permafrost_checkpoint_epoch',
    'permafrost_disk_free_bytes',
    'permafrost_disk_size_bytes',
    'permafrost_scrub_last_success_timestamp_seconds',
  ])
    assert.equal(now.get(name), undefined);
  const unknowns = /^permafrost_(queue_jobs|dead_letter_records|lookup_chain_reads|redis_unsuitable)/;
  const absent = [...now.keys()].filter((name) => unknowns.test(name));
  assert.deepEqual(absent, []);
});

test('names everything of its own with the prefix, counters with _total, and carries archive and shard', async () => {
  const text = await textOf(metrics());
  for (const [, name, type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    assert.match(String(name), /^(permafrost|process|nodejs)_/);
    if (String(name).startsWith('permafrost_')) assert.equal(/_total$/.test(String(name)), type === 'counter', name);
  }
  assert.match(text, /permafrost_build_info\{version="1\.2\.3",node="v\d+\.\d+\.\d+",archive="main",shard="3"\} 1/);
});

test('tells each metric of several shards once, with a line for each, and the process once for all', async () => {
  const text = await textOf(metrics(), metrics({ shard: () => ({ ...facts, epoch: 9 }) }, 4));
  const helps = [...text.matchAll(/^# HELP (\S+)/gm)].map(([, name]) => name);
  assert.equal(new Set(helps).size, helps.length);
  assert.match(text, /^permafrost_checkpoint_epoch\{archive="main",shard="3"\} 7$/m);
  assert.match(text, /^permafrost_checkpoint_epoch\{archive="main",shard="4"\} 9$/m);
  assert.match(text, /^permafrost_put_wait_seconds_bucket\{le="\+Inf",archive="main",shard="4"\} 0$/m);
  assert.equal(text.match(/^process_start_time_seconds\{archive="main",shard="3-4"\} /gm)?.length, 1);
});
