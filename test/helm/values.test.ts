import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type ObjectSchema, workerSettingsSchema } from '../../tools/helm/worker-settings.ts';
import { chartFile, chartTest, run, template } from './chart.ts';

interface Schema {
  readonly type?: string;
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
}

const schema = JSON.parse(chartFile('values.schema.json')) as Schema & {
  readonly definitions: Readonly<Record<string, Schema>>;
};

/** Left to Kubernetes, which knows far more kinds of them than we could list. */
const open = new Set(['volume', 'container']);

test('the schema knows the settings of the worker; else run: node tools/helm/worker-settings.ts', () => {
  assert.deepEqual(schema.properties?.config, workerSettingsSchema());
});

test('the settings that the chart sets itself are not taken in config', () => {
  const { archive, shard, dataDir, redis, http, closeDeadlineMs, commit } = workerSettingsSchema().properties;
  assert.deepEqual({ archive, shard, dataDir, http, closeDeadlineMs }, absent());
  const { url, username, password, tlsCaFile, startTimeoutMs } = (redis as ObjectSchema).properties;
  assert.deepEqual([url, username, password, tlsCaFile], [undefined, undefined, undefined, undefined]);
  assert.equal(startTimeoutMs?.type, 'integer');
  assert.equal(commit?.type, 'object');
});

function absent() {
  return { archive: undefined, shard: undefined, dataDir: undefined, http: undefined, closeDeadlineMs: undefined };
}

test('no object of the schema takes a property that it does not name', () => {
  const loose = looseObjects(schema, '');
  const named = Object.entries(schema.definitions).flatMap(([name, definition]) =>
    open.has(name) ? [] : looseObjects(definition, name),
  );
  assert.deepEqual([...loose, ...named], []);
});

/** Objects with properties that others may stand beside. */
function looseObjects(node: Schema, at: string): string[] {
  const inner = Object.entries(node.properties ?? {}).flatMap(([name, child]) => looseObjects(child, `${at}.${name}`));
  return node.properties !== undefined && node.additionalProperties !== false ? [at, ...inner] : inner;
}

describe('values', () => {
  chartTest('and schema name the same things', () => {
    assert.deepEqual(difference(defaults(), schema, ''), []);
  });

  const refused: readonly (readonly [values: string, why: RegExp])[] = [
    ['shard=2', /shard/],
    ['shards=0', /shards/],
    ['shards=two', /shards/],
    ['archive=Main', /archive/],
    ['image.tga=1', /tga/],
    ['image.pullPolicy=Sometimes', /pullPolicy/],
    ['image.digest=sha256:short', /digest/],
    ['redis.url=http://redis', /url/],
    ['redis.password=secret', /password/],
    ['bundledRedis.appendfsync=no', /appendfsync/],
    ['bundledRedis.enabled=false', /enabled/],
    ['config.archive=other', /archive/],
    ['config.sync.intervallMs=5', /intervallMs/],
    ['config.sync.intervalMs=soon', /intervalMs/],
    ['config.http.port=80', /http/],
    ['http.port=0', /port/],
    ['persistence.size=much', /size/],
    ['persistence.accessModes={ReadWriteMany}', /accessModes/],
    ['resources.request.cpu=1', /request/],
    ['resources.limits.cpu=fast', /cpu/],
    ['tolerations[0].effect=Never', /effect/],
    ['topology.replicas=2', /replicas/],
    ['podDisruptionBudget.minAvailable=1', /minAvailable/],
    ['podDisruptionBudget.maxUnavailable=0', /maxUnavailable/],
    ['networkPolicy.scrapeFrom[0].pods=x', /pods/],
    ['metrics.serviceMonitor.interval=often', /interval/],
    ['metrics.prometheusRule.runbookBaseUrl=docs', /runbookBaseUrl/],
    ['metrics.prometheusRule.disabled={Everything}', /disabled/],
    ['securityContext.readOnly=true', /readOnly/],
    ['podSecurityContext.user=0', /user/],
    ['extraEnv[0].value=x', /name/],
    ['extraVolumes[0].name=data', /extraVolumes/],
    ['autoscaling.enabled=true', /autoscaling/],
    ['shutdown.graceSeconds=30', /graceSeconds.*must be more than/],
    ['shutdown.preStopSeconds=20', /graceSeconds.*must be more than/],
    ['redis.url=redis://user:secret@redis', /must not hold a password/],
    ['redis.username=archive', /for an existing Redis/],
    ['redis.tls.caSecret=ca', /for an existing Redis/],
    ['topology.putShards=2', /must not be more than shards/],
    ['fullnameOverride=Cold_Store', /Cold_Store cannot be a part of names/],
    ['nameOverride=-cold', /-cold cannot be a part of names/],
    ['extraEnv[0].name=PERMAFROST_SHARD', /extraEnv must not hold PERMAFROST_SHARD/],
    ['extraEnv[0].name=PERMAFROST_REDIS_URL', /extraEnv must not hold PERMAFROST_REDIS_URL/],
  ];
  for (const [values, why] of refused) {
    chartTest(`with ${values} are refused, and told why`, () => {
      assert.throws(() => template(['--set', values]), why);
    });
  }

  chartTest('that every parent chart hands down are no mistake', () => {
    assert.match(template(['--set', 'global.imageRegistry=x']), /kind: StatefulSet/);
  });
});

/** The chart's values.yaml as Helm reads it: a chart of one template prints it. */
function defaults(): unknown {
  const folder = mkdtempSync(join(tmpdir(), 'permafrost-values-'));
  try {
    mkdirSync(join(folder, 'templates'));
    writeFileSync(join(folder, 'Chart.yaml'), 'apiVersion: v2\nname: values\nversion: 0.0.0\n');
    writeFileSync(join(folder, 'values.yaml'), chartFile('values.yaml'));
    writeFileSync(join(folder, 'templates', 'values.yaml'), '{{ .Values | toJson }}\n');
    const { stdout } = run('helm', ['template', 'values', folder]);
    return JSON.parse(stdout.slice(stdout.indexOf('{')));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Values without a schema, and properties of the schema without a value; below `config` and Kubernetes' own types: none. */
function difference(values: unknown, node: Schema, at: string): string[] {
  const properties = node.properties;
  if (properties === undefined || at === '.config') return [];
  const given = Object.keys(values as object);
  const expected = Object.keys(properties).filter((name) => `${at}.${name}` !== '.global');
  const missing = expected.filter((name) => !given.includes(name)).map((name) => `${at}.${name} has no value`);
  const unknown = given.filter((name) => !expected.includes(name)).map((name) => `${at}.${name} has no schema`);
  const inner = expected
    .filter((name) => given.includes(name))
    .flatMap((name) => difference((values as Record<string, unknown>)[name], properties[name] ?? {}, `${at}.${name}`));
  return [...missing, ...unknown, ...inner];
}
