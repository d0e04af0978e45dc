import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reasonToInstall } from '../../tools/dependencies.mjs';

const wanted = {
  packages: {
    '': { version: '0.1.0' },
    'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
    'node_modules/b': { version: '2.0.0', integrity: 'sha512-b', optional: true },
  },
};

test('nothing is installed when all that the lock file names is there', () => {
  assert.equal(reasonToInstall(wanted, wanted), undefined);
});

test('an optional package may be absent, but not be another version', () => {
  const { 'node_modules/a': a } = wanted.packages;
  assert.equal(reasonToInstall(wanted, { packages: { 'node_modules/a': a } }), undefined);
  const other = { packages: { 'node_modules/a': a, 'node_modules/b': { version: '2.0.1', integrity: 'sha512-b' } } };
  assert.equal(reasonToInstall(wanted, other), 'node_modules/b is another version');
});

test('what is missing, another version or another content is installed', () => {
  assert.equal(reasonToInstall(wanted, undefined), 'none are installed yet');
  assert.equal(reasonToInstall(wanted, { packages: {} }), 'node_modules/a is missing');
  for (const a of [
    { version: '1.0.1', integrity: 'sha512-a' },
    { version: '1.0.0', integrity: 'sha512-x' },
  ]) {
    const installed = { packages: { ...wanted.packages, 'node_modules/a': a } };
    assert.equal(reasonToInstall(wanted, installed), 'node_modules/a is another version');
  }
});
