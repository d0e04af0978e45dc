import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ensureRedisServer, findRedisServer } from '../../tools/redis.mjs';

/** A machine that has only the given programs, each a shell script; `{here}` in one stands for their folder. */
async function machine(t: TestContext, scripts: Readonly<Record<string, string>>): Promise<string> {
  const here = await mkdtemp(join(tmpdir(), 'permafrost-machine-'));
  t.after(() => rm(here, { recursive: true }));
  for (const [name, script] of Object.entries(scripts)) {
    const text = `#!/bin/sh\n${script.replaceAll('{here}', here)}\n`;
    await writeFile(join(here, name), text);
    await chmod(join(here, name), 0o755);
  }
  return here;
}

function log(): { lines: string[]; say: (line: string) => void } {
  const lines: string[] = [];
  return { lines, say: (line) => lines.push(line) };
}

const becomesServer = 'printf "#!/bin/sh\\n" > {here}/redis-server; /bin/chmod 755 {here}/redis-server';

test('a server on the PATH is found, and nothing is said or done', async (t) => {
  const here = await machine(t, { 'valkey-server': '', 'apt-get': 'exit 1' });
  const { lines, say } = log();
  assert.equal(findRedisServer({ folders: [here] }), join(here, 'valkey-server'));
  assert.equal(await ensureRedisServer(say, { folders: [here], isRoot: true }), join(here, 'valkey-server'));
  assert.deepEqual(lines, []);
});

test('a missing server is installed by the package manager that is there, and each step is said before', async (t) => {
  const here = await machine(t, { 'apt-get': `case "$*" in *install*) ${becomesServer} ;; esac` });
  const { lines, say } = log();
  assert.equal(await ensureRedisServer(say, { folders: [here], isRoot: true }), join(here, 'redis-server'));
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? '', /running env .*apt-get install -y --no-install-recommends redis-server$/);
});

test('the lists of packages are fetched when the first try fails', async (t) => {
  const script = `case "$*" in update) : > {here}/lists ;; *) test -f {here}/lists && { ${becomesServer}; } ;; esac`;
  const here = await machine(t, { 'apt-get': script });
  const { lines, say } = log();
  assert.equal(await ensureRedisServer(say, { folders: [here], isRoot: true }), join(here, 'redis-server'));
  assert.deepEqual(
    lines.map((line) => /apt-get (\w+)/.exec(line)?.[1]),
    ['install', 'update', 'install'],
  );
});

test('who is not root asks sudo, which must not ask back; Homebrew is never run by root', async (t) => {
  const here = await machine(t, { sudo: becomesServer, apk: 'exit 1' });
  const { lines, say } = log();
  await ensureRedisServer(say, { folders: [here], isRoot: false });
  assert.match(
    lines[0] ?? '',
    new RegExp(`running ${join(here, 'sudo')} -n ${join(here, 'apk')} add --no-cache valkey$`),
  );
  const mac = await machine(t, { sudo: 'exit 1', brew: becomesServer });
  await ensureRedisServer(say, { folders: [mac], isRoot: false });
  assert.match(lines[1] ?? '', new RegExp(`running ${join(mac, 'brew')} install valkey$`));
});

test('a machine without a known package manager, or whose fails, is told what to do', async (t) => {
  const bare = await machine(t, {});
  const { lines, say } = log();
  await assert.rejects(
    ensureRedisServer(say, { folders: [bare], isRoot: true }),
    /no package manager .*Install redis-server/,
  );
  assert.deepEqual(lines, []);
  const broken = await machine(t, { dnf: 'exit 1' });
  await assert.rejects(
    ensureRedisServer(say, { folders: [broken], isRoot: true }),
    /dnf could not .*Install redis-server/,
  );
  assert.equal(lines.length, 2, 'valkey, then redis');
});
