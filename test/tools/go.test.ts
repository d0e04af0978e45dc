import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { findGo, isNewEnough } from '../../tools/helm/go.mjs';

/** A folder with a `go` that says it is of this version. */
function folderWithGo(t: TestContext, version: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'permafrost-go-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'go'), `#!/bin/sh\necho ${version}\n`);
  chmodSync(join(folder, 'go'), 0o755);
  return folder;
}

test('the first Go that is new enough is taken', (t) => {
  const old = folderWithGo(t, 'go1.19.8');
  const young = folderWithGo(t, 'go1.26.8');
  assert.deepEqual(findGo([old, young]), { program: join(young, 'go') });
});

test('without one it is told what there is', (t) => {
  const old = folderWithGo(t, 'go1.19.8');
  assert.deepEqual(findGo([old]), {
    reason: `${join(old, 'go')} is go1.19.8: too old; install Go 1.21 or newer`,
  });
  assert.deepEqual(findGo([]), { reason: 'there is no go; install Go 1.21 or newer' });
});

test('a version that fetches the one we ask for is new enough', () => {
  for (const version of ['go1.21', 'go1.26.8', 'go2.0']) assert.ok(isNewEnough(version), version);
  for (const version of ['go1.20.14', 'go1.9', 'devel', '']) assert.ok(!isNewEnough(version), version);
});
