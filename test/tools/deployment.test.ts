import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { settings } from '../../src/service/config.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const files = [
  'Dockerfile',
  'docker-compose.yml',
  'tools/image/healthcheck.mjs',
  ...['_helpers.tpl', 'statefulset.yaml'].map((name) => `helm/templates/${name}`),
];
const known = new Set([...settings.map(({ env }) => env), 'PERMAFROST_CONFIG']);

interface Manifest {
  readonly exports: Readonly<Record<string, { readonly types: string; readonly default: string }>>;
  readonly bin: Readonly<Record<string, string>>;
}

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

for (const file of files) {
  test(`${file} names no variable that the worker would refuse`, () => {
    const names = [...read(file).matchAll(/\bPERMAFROST_[A-Z_]+\b/g)].map(([name]) => name);
    assert.ok(names.length > 0);
    for (const name of names) assert.ok(known.has(name), name);
  });
}

test('the image, Compose and the chart listen where they say they do', () => {
  const port = settings.find(({ key }) => key === 'http.port')?.default;
  assert.match(read('Dockerfile'), new RegExp(`^EXPOSE ${port}$`, 'm'));
  assert.match(read('docker-compose.yml'), new RegExp(`"127.0.0.1:${port}:${port}"`));
  assert.match(read('helm/values.yaml'), new RegExp(`^http:\n {2}#.*\n {2}port: ${port}$`, 'm'));
});

test('the chart, its application and the package have one version', () => {
  const { version } = JSON.parse(read('package.json'));
  assert.match(read('helm/Chart.yaml'), new RegExp(`^appVersion: "${version}"$`, 'm'));
});

test('each door of the package is a file that is built from src', () => {
  const { exports, bin } = JSON.parse(read('package.json')) as Manifest;
  const built = [...Object.values(exports).flatMap((door) => [door.types, door.default]), ...Object.values(bin)];
  assert.ok(built.length > 0);
  for (const path of built) read(path.replace('./dist/', 'src/').replace(/(\.d\.ts|\.js)$/, '.ts'));
});
