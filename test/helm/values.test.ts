import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Ajv } from 'ajv';
import { settings } from '../../src/service/config.ts';
import type { Format, NumberRange } from '../../src/service/config-formats.ts';
import { configSchema, type Setting } from '../../src/service/config-schema.ts';
import { type ObjectSchema, workerSettingsSchema } from '../../tools/helm/worker-settings.ts';
import { chartFile, chartTest, run, template } from './chart.ts';

interface Schema {
  readonly type?: string;
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly minimum?: number;
  readonly maximum?: number;
}

const schema = JSON.parse(chartFile('values.schema.json')) as Schema & {
  readonly definitions: Readonly<Record<string, Schema>>;
};

/** Left to Kubernetes, which knows far more kinds of them than we could list. */
const open = new Set(['volume', 'container']);

test('the schema knows the settings of the worker; else run: node tools/helm/worker-settings.ts', () => {
  assert.deepEqual(schema.properties?.config, workerSettingsSchema());
});

test('the schema takes the same numbers and words for a setting as the worker', () => {
  const ajv = new Ajv({ strict: false });
  let comparedCount = 0;
  for (const { key, default: value, range, words } of settings) {
    const node = schemaOf(workerSettingsSchema(), key.split('.'));
    if (node === undefined || typeof value === 'boolean') continue;
    const check = formatOf(key);
    const takes = ajv.compile(node);
    const probes = range === undefined ? [...(words ?? []), 'other'] : probesOf(range);
    if (range === undefined && words === undefined) continue;
    for (const probe of [...probes, value]) {
      assert.equal(takes(probe), passes(check, probe), `${key}: ${probe}`);
      comparedCount += 1;
    }
    assert.ok(
      probes.some((probe) => !takes(probe)),
      `${key} is bounded`,
    );
  }
  assert.ok(comparedCount > 200, `${comparedCount} values were compared`);
  const numbers = settings.filter(({ default: value }) => typeof value === 'number');
  assert.deepEqual(
    numbers.filter(({ range }) => range === undefined).map(({ key }) => key),
    [],
  );
});

test('values of the chart that become settings are no wider than those', () => {
  const bounds = (...path: string[]) => {
    const { minimum, maximum } = schemaOf(schema, path) ?? {};
    return { minimum, maximum };
  };
  const rangeOf = (key: string) => settings.find((info) => info.key === key)?.range;
  const deadline = rangeOf('closeDeadlineMs');
  assert.deepEqual(bounds('shutdown', 'deadlineSeconds'), { minimum: 1, maximum: Number(deadline?.max) / 1000 });
  assert.ok(Number(deadline?.min) <= 1000);
  assert.deepEqual(bounds('shards'), { minimum: 1, maximum: Number(rangeOf('shard')?.max) + 1 });
  assert.deepEqual(bounds('http', 'port'), { minimum: 1, maximum: rangeOf('http.port')?.max });
});

/** Numbers around both ends of the range, and some that are no power of two or no whole number. */
function probesOf({ min, max }: NumberRange): readonly number[] {
  return [min - 1, min, min + 1, min + 0.5, 3, Math.ceil((min + max) / 2), max - 1, max, max + 1];
}

function passes(check: Format, value: unknown): boolean {
  try {
    check(value);
    return true;
  } catch {
    return false;
  }
}

/** The check that the worker itself makes of a setting. */
function formatOf(key: string): Format {
  let node: unknown = configSchema;
  for (const name of key.split('.')) node = Object.entries(node ?? {}).find(([found]) => found === name)?.[1];
  const { format } = node as Setting<unknown>;
  if (typeof format === 'function') return format as Format;
  return (value) => assert.ok((format as readonly unknown[]).includes(value));
}

function schemaOf(node: Schema, [first, ...rest]: readonly string[]): Schema | undefined {
  if (first === undefined) return node;
  const child = node.properties?.[first];
  return child === undefined ? undefined : schemaOf(child, rest);
}

test('the settings that the chart sets itself are not taken in config', () => {
  const { archive, shard, dataDir, redis, http, closeDeadlineMs, commit } = workerSettingsSchema().properties;
  assert.deepEqual({ archive, shard, dataDir, http, closeDeadlineMs }, absent());
  assert.deepEqual(Object.keys((redis as ObjectSchema).properties), [
    'clusterNodes',
    'tlsServerName',
    'startTimeoutMs',
  ]);
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
    ['config.sync.intervalMs=9', /intervalMs.*minimum/],
    ['config.put.concurrency=1025', /concurrency.*maximum/],
    ['config.limits.valueBytesMax=0', /valueBytesMax.*minimum/],
    ['config.engine.tableInitialSize=1000', /tableInitialSize.*one of/],
    ['config.disk.pauseBelowBytes=-1', /pauseBelowBytes.*minimum/],
    ['config.log.level=loud', /level.*one of/],
    ['config.http.port=80', /http/],
    ['config.http.statusPage=false', /http/],
    ['http.statusPage=sometimes', /statusPage/],
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
    ['redis.tls.certSecret=cert', /for an existing Redis/],
    ['config.redis.clusterNodes=redis:6379', /for an existing Redis/],
    ['redis.url=redis://redis,redis.tls.caSecret=ca', /redis.url must be rediss/],
    ['redis.url=redis://redis,redis.tls.certSecret=cert', /redis.url must be rediss/],
    ['redis.url=redis://redis,config.redis.tlsServerName=redis', /redis.url must be rediss/],
    ['config.redis.tlsCertFile=/cert', /tlsCertFile/],
    ['config.redis.passwordFile=/word', /passwordFile/],
    ['topology.putShards=2', /must not be more than shards/],
    ['fullnameOverride=Cold_Store', /Cold_Store cannot be a part of names/],
    ['nameOverride=-cold', /-cold cannot be a part of names/],
    ['extraEnv[0].name=PERMAFROST_SHARD', /extraEnv must not hold PERMAFROST_SHARD/],
    ['extraEnv[0].name=PERMAFROST_REDIS_URL', /extraEnv must not hold PERMAFROST_REDIS_URL/],
    ['extraEnv[0].name=PERMAFROST_REDIS_PASSWORD_FILE', /extraEnv must not hold PERMAFROST_REDIS_PASSWORD_FILE/],
    ['extraEnv[0].name=PERMAFROST_HTTP_STATUS_PAGE', /extraEnv must not hold PERMAFROST_HTTP_STATUS_PAGE/],
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
