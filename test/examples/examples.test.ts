import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ArchiveSite } from '../jobs/archive-site.ts';
import { Producer } from '../service/producer.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const examples = join(root, 'docs', 'examples');

/** A Python that has `bullmq`, or why there is none. */
function findPython(): { readonly program: string } | { readonly missing: string } {
  const program = process.env.PERMAFROST_TEST_PYTHON ?? 'python3';
  const { status } = spawnSync(program, ['-c', 'import bullmq, redis']);
  if (status === 0) return { program };
  const how = 'python3 -m venv venv && venv/bin/pip install bullmq==3.4.4, then PERMAFROST_TEST_PYTHON=venv/bin/python';
  return { missing: `${program} has no bullmq; to run it: ${how}` };
}

const python = findPython();
const skipPython = 'missing' in python ? python.missing : false;
const redisCli = spawnSync('redis-cli', ['--version']).status === 0;

interface Outcome {
  readonly status: number;
  readonly output: Buffer;
  readonly notes: string;
}

suite('the examples', () => {
  let site: ArchiveSite;
  let directory: string;
  before(async () => {
    site = await ArchiveSite.start({ grown: true });
    directory = await mkdtemp(join(tmpdir(), 'permafrost-examples-'));
    await installPackage(directory);
  });
  after(async () => {
    await site.stop();
    await rm(directory, { recursive: true });
  });

  /** The package as it is installed, with its doors leading to the sources. */
  async function installPackage(below: string): Promise<void> {
    const folder = join(below, 'node_modules', 'permafrost');
    await mkdir(folder, { recursive: true });
    const doors = { '.': './client.js', './jobs': './jobs.js' };
    const manifest = { name: 'permafrost', type: 'module', exports: doors };
    await writeFile(join(folder, 'package.json'), JSON.stringify(manifest));
    for (const door of ['client', 'jobs'])
      await writeFile(
        join(folder, `${door}.js`),
        `export * from ${JSON.stringify(join(root, 'src', door, 'index.ts'))};`,
      );
    for (const name of await readdir(examples)) await symlink(join(examples, name), join(below, name));
  }

  function run(program: string, words: readonly string[], input: Uint8Array = Buffer.alloc(0)): Promise<Outcome> {
    const env = { PATH: process.env.PATH, HOME: process.env.HOME, ...site.environment };
    return new Promise((resolve) => {
      const child = execFile(program, words, { env, encoding: 'buffer' }, (error, output, notes) => {
        resolve({ status: error === null ? 0 : Number(error.code), output, notes: notes.toString() });
      });
      child.stdin?.end(input);
    });
  }

  function runTypeScript(name: string): Promise<Outcome> {
    // Symbolic links are kept, so that the package is found beside them.
    const flags = ['--preserve-symlinks-main', '--preserve-symlinks', '--disable-warning=ExperimentalWarning'];
    return run(process.execPath, [...flags, join(directory, name)]);
  }

  test('put-and-get.ts archives one record and many, and reads them again', async () => {
    const { status, output, notes } = await runTypeScript('put-and-get.ts');
    assert.equal(status, 0, notes);
    assert.match(
      output.toString(),
      /^stored at \d:[0-9a-f]{40}\n1000 records in \d+ jobs\n\{"total":42\}\nfound\nmissing\n$/,
    );
  });

  test('archive-finished-jobs.ts moves finished jobs, and finds one again', async () => {
    const jobs = [1, 2, 3].map((n) => ({ data: { returns: `sent ${n}` }, opts: { jobId: `letter-${n}` } }));
    for (const job of jobs) await site.finish('mail', [job]);
    const { status, output, notes } = await runTypeScript('archive-finished-jobs.ts');
    assert.equal(status, 0, notes);
    assert.equal(output.toString(), '2 jobs moved, 0 wait for their flows\ncompleted sent 1\n');
  });

  test('client.py puts what others find, and finds what others put', { skip: skipPython }, async () => {
    if ('missing' in python) return;
    const client = (...words: string[]) => [join(examples, 'client.py'), ...words];
    const bytes = randomBytes(300_000);
    // Of the archive's three shards most keys have two homes.
    const put = await run(python.program, client('put', 'python/ключ'), bytes);
    assert.equal(put.status, 0, put.notes);
    assert.equal(JSON.parse(put.output.toString()).records[0].outcome, 'stored');
    assert.deepEqual((await site.client.lookup('python/ключ'))?.value, bytes);
    await site.client.put({ key: 'node/1', value: bytes });
    await site.client.put({ key: 'node/1', value: 'newer' });
    const got = await run(python.program, client('get', 'node/1'));
    assert.deepEqual([got.status, got.output.toString()], [0, 'newer'], got.notes);
    assert.deepEqual((await run(python.program, client('get', 'python/ключ'))).output, bytes);
    assert.deepEqual((await run(python.program, client('get', 'nowhere'))).status, 1);
    const large = await run(python.program, client('put', 'large'), Buffer.alloc(1_100_000));
    assert.match(large.notes, /RuntimeError: limit-exceeded: .*valueBytesMax/);
    const left = await site.redis.keys('permafrost:*python*');
    assert.deepEqual(left, [], 'it leaves nothing in Redis');
  });

  test('look.sh shows the archive and takes an answer with redis-cli alone', {
    skip: !redisCli && 'no redis-cli',
  }, async () => {
    const producer = new Producer(site.server.url, 'main', 'shell');
    await producer.put('shell-1', { 'shell/1': 'value' });
    const taken = await run(join(examples, 'look.sh'), ['take', 'shell']);
    assert.equal(JSON.parse(taken.output.toString()).receipts[0].records[0].outcome, 'stored', taken.notes);
    await producer.close();
    const { output, notes, status } = await run(join(examples, 'look.sh'), []);
    assert.equal(status, 0, notes);
    assert.match(
      output.toString(),
      /^topology: .*\nshard 0: epoch \d+, \d+ records at the checkpoint\n {2}0 put jobs wait, 0 lookups\n {2}worker: alive\n/,
    );
  });

  test('every file has its test here', async () => {
    assert.deepEqual((await readdir(examples)).sort(), [
      'README.md',
      'archive-finished-jobs.ts',
      'client.py',
      'look.sh',
      'put-and-get.ts',
    ]);
  });
});
