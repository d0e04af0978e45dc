import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe } from 'node:test';
import { kubernetesVersions, schemaFolder } from '../../tools/helm/kubernetes-schemas.ts';
import { chart, chartFile, chartTest, run, scenarios, template } from './chart.ts';

const place = '{{ .ResourceKind }}{{ .KindSuffix }}.json';

/** Where the schemas of a version of Kubernetes are, as kubeconform takes it. */
function schemasOf(version: string): readonly string[] {
  const folders = [join(schemaFolder, version), join(schemaFolder, 'operator')];
  return [
    ...['-strict', '-kubernetes-version', version.slice(1)],
    ...folders.flatMap((folder) => ['-schema-location', join(folder, place)]),
  ];
}

describe('the chart', () => {
  chartTest('has a scenario for each way of running it', () => {
    assert.ok(scenarios.length >= 14, `${scenarios.length} scenarios`);
    for (const file of scenarios) assert.match(chartFile(`ci/${basename(file)}`), /^# .+\.\n/, file);
  });

  for (const file of scenarios) {
    const name = basename(file, '-values.yaml');

    chartTest(`passes Helm's strict lint in the scenario ${name}`, () => {
      const { status, stdout, stderr } = run('helm', ['lint', '--strict', chart, '--values', file]);
      assert.equal(status, 0, stdout + stderr);
    });

    chartTest(`makes only what Kubernetes takes in the scenario ${name}`, () => {
      const rendered = template(['--values', file]);
      for (const version of kubernetesVersions) {
        const { status, stdout } = run('kubeconform', [...schemasOf(version), '-output', 'json', '-summary'], rendered);
        const { summary } = JSON.parse(stdout);
        assert.equal(status, 0, `${version}: ${stdout}`);
        assert.ok(summary.valid >= 3 && summary.skipped === 0, `${version}: ${JSON.stringify(summary)}`);
      }
    });
  }

  chartTest('would not pass with a field that Kubernetes does not have, or a wrong type', () => {
    const right = template();
    const wrongs = [
      right.replace('podManagementPolicy: Parallel', 'podManagmentPolicy: Parallel'),
      right.replace('replicas: 1', 'replicas: one'),
      right.replace('automountServiceAccountToken: false', 'automountServiceAccountToken: "no"'),
      right.replace('kind: PodDisruptionBudget', 'kind: PodDisruptionBudgets'),
    ];
    for (const wrong of wrongs) {
      assert.notEqual(wrong, right);
      for (const version of kubernetesVersions)
        assert.notEqual(run('kubeconform', schemasOf(version), wrong).status, 0);
    }
  });

  chartTest('passes its unit tests', () => {
    const { status, stdout, stderr } = run('helm-unittest', ['--strict', '--file', 'tests/*_test.yaml', chart]);
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /Tests: +\d\d+ passed/);
  });

  chartTest('is packed with its alerts and its dashboard, and without its own tests', (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'permafrost-package-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const { status, stderr } = run('helm', ['package', chart, '--destination', folder]);
    assert.equal(status, 0, stderr);
    const [file = ''] = readdirSync(folder);
    const listed = spawnSync('tar', ['-tzf', join(folder, file)], { encoding: 'utf8' }).stdout.split('\n');
    for (const path of ['rules/permafrost.yaml', 'dashboards/permafrost.json', 'values.schema.json', 'README.md']) {
      assert.ok(listed.includes(`permafrost/${path}`), path);
    }
    assert.ok(listed.includes('permafrost/templates/tests/round-trip.yaml'));
    assert.deepEqual(
      listed.filter((path) => /^permafrost\/(ci|tests)\/|gotmpl/.test(path)),
      [],
    );
  });

  chartTest('has a README made of the comments in its values; else run helm-docs in its folder', () => {
    const { status, stdout, stderr } = run('helm-docs', ['--dry-run', '--sort-values-order', 'file']);
    assert.equal(status, 0, stderr);
    assert.equal(chartFile('README.md').trim(), stdout.trim());
    assert.match(stdout, /never been installed on a cluster/);
  });
});
