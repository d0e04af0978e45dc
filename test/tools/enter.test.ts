import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findNode, isNewEnough } from '../../tools/node-version.mjs';

const enter = fileURLToPath(new URL('../../tools/enter.mjs', import.meta.url));

test('an unknown command is refused with those that there are', () => {
  const result = spawnSync(process.execPath, [enter, 'stop'], { encoding: 'utf8' });
  assert.equal(result.status, 1);
  assert.equal(
    result.stderr,
    "permafrost: there is no command 'stop': use one of start, test, check, crashlab, mutants\n",
  );
});

test('a Node that runs the sources is found, and an older one or none is not taken for one', () => {
  assert.equal(findNode(), process.execPath);
  assert.ok(isNewEnough('v24.0.0') && isNewEnough('v31.2.1'));
  for (const version of ['v20.20.2', 'v23.11.0', 'v4.0.0', '', undefined]) assert.ok(!isNewEnough(version), version);
});
