import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findPrometheus } from '../../tools/prometheus.mjs';

const rulesFile = fileURLToPath(new URL('../../helm/rules/permafrost.yaml', import.meta.url));
const testFolder = fileURLToPath(new URL('./alerts', import.meta.url));
const rules = read('helm/rules/permafrost.yaml');
const runbook = read('docs/RUNBOOK.md');
const dashboard = read('helm/dashboards/permafrost.json');
/** Each alert's own text: what stands between its name and the next one's. */
const alerts = new Map(
  [...rules.matchAll(/^ {6}- alert: (\w+)\n((?:(?! {6}- alert: ).*\n)*)/gm)].map(([, name = '', text = '']) => [
    name,
    text,
  ]),
);
const found = findPrometheus();

function read(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
}

/** The metrics of a worker as OPERATIONS.md has them, which another test compares with the source. */
function documentedMetrics(): ReadonlySet<string> {
  const rows = [...read('docs/OPERATIONS.md').matchAll(/^\| `(permafrost_\w+)` \| (\w+) \|/gm)];
  const names = rows.flatMap(([, name = '', type]) => {
    return type === 'histogram' ? ['_bucket', '_sum', '_count'].map((end) => name + end) : [name];
  });
  return new Set(names);
}

function metricsIn(text: string): readonly string[] {
  return [...new Set([...text.matchAll(/\bpermafrost_\w+/g)].map(([name]) => name))];
}

test('every alert has a section of the runbook with four parts, and a test, and none is left over', () => {
  const names = [...alerts.keys()].sort();
  assert.ok(names.length >= 13, `${names.length} alerts`);
  assert.deepEqual([...runbook.matchAll(/^## (\w+)$/gm)].map(([, name]) => name).sort(), names);
  assert.deepEqual(
    readdirSync(testFolder)
      .map((file) => basename(file, '.yaml'))
      .sort(),
    names,
  );
  for (const section of runbook.split(/^## /m).slice(1)) {
    const parts = [...section.matchAll(/^\*\*(\w+)\.\*\*/gm)].map(([, part]) => part);
    assert.deepEqual(parts, ['Meaning', 'Impact', 'Diagnosis', 'Mitigation'], section.split('\n', 1)[0]);
  }
});

test('every alert has a severity, a summary, a description, and the place of its section', () => {
  for (const [name, text] of alerts) {
    assert.match(text, /^ {10}severity: (critical|warning)$/m, name);
    assert.match(text, /^ {10}summary: .*\{\{ \$labels\.archive \}\}/m, name);
    assert.match(text, /^ {10}description: \S/m, name);
    assert.ok(text.includes(`runbook_url: docs/RUNBOOK.md#${name.toLowerCase()}\n`), name);
  }
});

test('every test of an alert lets it fire and lets it be silent', () => {
  for (const name of alerts.keys()) {
    const text = read(`test/deploy/alerts/${name}.yaml`);
    assert.match(text, /exp_alerts: \[\]/, name);
    assert.match(text, /exp_annotations:/, name);
    const tested = [...text.matchAll(/alertname: (\w+)/g)].map(([, alert]) => alert);
    assert.deepEqual([...new Set(tested)], [name]);
  }
});

for (const [what, text] of [
  ['the alerts', rules],
  ['the dashboard', dashboard],
] as const) {
  test(`every metric of ${what} exists`, () => {
    const documented = documentedMetrics();
    const unknown = metricsIn(text).filter((name) => !documented.has(name));
    assert.deepEqual(unknown, []);
    assert.ok(metricsIn(text).length >= 13);
  });
}

test('every metric that the runbook names exists', () => {
  const documented = documentedMetrics();
  const unknown = metricsIn(runbook).filter((name) => !documented.has(name) && !documented.has(`${name}_bucket`));
  assert.deepEqual(unknown, []);
});

test('every code, event and command that the runbook names is in the source', () => {
  const sources = readdirSync(new URL('../../src/', import.meta.url), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => read(`src/${path}`))
    .join('\n');
  const words = [...runbook.matchAll(/`([a-z]+(?:-[a-z]+)+)`/g)].map(([, word = '']) => word);
  const commands = [...runbook.matchAll(/`permafrost ([a-z-]+)/g)].map(([, word = '']) => word);
  assert.ok(words.length > 8 && commands.length > 8);
  const unknown = [...words, ...commands].filter((word) => !sources.includes(`'${word}'`));
  assert.deepEqual([...new Set(unknown)], []);
});

test('the dashboard has its rows, and asks for data source, archive and shard', () => {
  const { panels, templating } = JSON.parse(dashboard);
  const rows = panels
    .filter(({ type }: { type: string }) => type === 'row')
    .map(({ title }: { title: string }) => title);
  assert.deepEqual(rows, ['The promise', 'Engine', 'Queue', 'Lookups', 'Disk', 'Integrity', 'Process']);
  const names = templating.list.map(({ name }: { name: string }) => name);
  assert.deepEqual(names, ['datasource', 'archive', 'shard']);
  const ids = panels.map(({ id }: { id: number }) => id);
  assert.equal(new Set(ids).size, ids.length, 'no two panels have one id');
});

describe('promtool', () => {
  prometheusTest('takes the rules', () => {
    const { status, stdout, stderr } = promtool(['check', 'rules', rulesFile]);
    assert.equal(status, 0, stderr);
    assert.match(stdout, new RegExp(`${alerts.size} rules found`));
  });

  prometheusTest('takes what the dashboard asks', (t) => {
    const expressions: string[] = JSON.parse(dashboard).panels.flatMap(
      ({ targets = [] }: { targets?: { expr: string }[] }) => targets.map(({ expr }) => expr),
    );
    const records = expressions.map((expr, index) => ({
      record: `panel:${index}:asks`,
      expr: expr.replaceAll('$__rate_interval', '5m'),
    }));
    const groups = JSON.stringify({ groups: [{ name: 'dashboard', rules: records }] });
    const folder = mkdtempSync(join(tmpdir(), 'permafrost-dashboard-'));
    t.after(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'rules.yaml'), groups);
    const { status, stderr } = promtool(['check', 'rules', join(folder, 'rules.yaml')]);
    assert.equal(status, 0, stderr);
  });

  for (const name of alerts.keys()) {
    prometheusTest(`lets ${name} fire and be silent when it should`, () => {
      const { status, stdout, stderr } = promtool(['test', 'rules', `${testFolder}/${name}.yaml`]);
      assert.equal(status, 0, stdout + stderr);
    });
  }
});

/** A test that runs one of Prometheus's programs: skipped, with the reason, where there are none. */
function prometheusTest(name: string, body: (t: TestContext) => void | Promise<void>): void {
  void test(name, 'reason' in found ? { skip: found.reason } : {}, body);
}

function promtool(args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  if ('reason' in found) throw new Error(found.reason);
  return spawnSync(found.promtool, args, { encoding: 'utf8' });
}
