import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { configText, notBuilt as notRendered, template } from '../helm/chart.ts';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';
import { buildStages, readStages, settingsOf } from './dockerfile.ts';
import { ImageProcesses, type ImageWorker } from './image-process.ts';

const context = fileURLToPath(new URL('../..', import.meta.url));
const stages = readStages(context);
const settings = settingsOf(stages.get('final') ?? []);
const manifest = JSON.parse(readFileSync(join(context, 'package.json'), 'utf8'));

test('the image runs as somebody without rights, by vectors, and ends at the signal that the worker takes', () => {
  assert.equal(settings.user, 1000);
  assert.equal(settings.stopSignal, 'SIGTERM');
  assert.deepEqual([...settings.entrypoint, ...settings.command], ['node', '/app/dist/cli/main.js', 'worker']);
  assert.deepEqual(settings.healthCheck, ['node', '/app/healthcheck.mjs']);
  assert.equal(settings.volume, settings.env.PERMAFROST_DATA_DIR);
});

test('the labels of the image are those of the package', () => {
  const { labels } = settings;
  assert.equal(labels['org.opencontainers.image.version'], manifest.version);
  assert.equal(labels['org.opencontainers.image.licenses'], manifest.license);
  assert.equal(labels['org.opencontainers.image.title'], manifest.name);
});

test('the context holds what is copied, and nothing else', () => {
  const sources = [...stages.values()].flat().flatMap(({ name, text }) => {
    return name === 'COPY' && !text.startsWith('--from=') ? text.split(' ').slice(0, -1) : [];
  });
  const allowed = readFileSync(join(context, '.dockerignore'), 'utf8').matchAll(/^!(.+)$/gm);
  assert.deepEqual([...allowed].map(([, path]) => path).sort(), [...new Set(sources)].sort());
});

const target = mkdtempSync(join(tmpdir(), 'permafrost-image-'));
const notBuilt = build();

/** Follows the Dockerfile; gives the reason when this machine cannot: its npm has neither a registry nor all in its cache. */
function build(): string | undefined {
  chmodSync(target, 0o755);
  const path = `${dirname(process.execPath)}:${process.env.PATH}`;
  try {
    buildStages(context, stages, target, { ...process.env, PATH: path, npm_config_prefer_offline: 'true' });
    return undefined;
  } catch (error) {
    rmSync(target, { recursive: true });
    const [offline] = /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH)\b/.exec(String(error)) ?? [];
    if (offline === undefined) throw error;
    return `npm reaches no registry: ${offline}`;
  }
}

describe('what the Dockerfile makes', () => {
  const root = join(target, 'final');
  const app = join(root, 'app');
  let redis: RedisServer;
  let image: ImageProcesses;
  let worker: ImageWorker | undefined;

  before(async () => {
    if (notBuilt !== undefined) return;
    execFileSync('chmod', ['-R', 'a-w', app]);
    redis = await startRedis();
    image = new ImageProcesses(root, settings, { PERMAFROST_REDIS_URL: redis.url, PERMAFROST_HTTP_PORT: '0' });
  });

  after(async () => {
    await worker?.stop();
    await redis?.stop();
    if (notBuilt !== undefined) return;
    execFileSync('chmod', ['-R', 'u+w', app]);
    rmSync(target, { recursive: true });
  });

  imageTest('holds the built worker and its dependencies, and neither sources nor tools', () => {
    assert.deepEqual(readdirSync(app).sort(), [
      'LICENSE',
      'README.md',
      'config',
      'dist',
      'healthcheck.mjs',
      'node_modules',
      'package.json',
      'round-trip.mjs',
      'topology.mjs',
      'web',
    ]);
    for (const name of Object.keys(manifest.dependencies)) assert.ok(existsSync(join(app, 'node_modules', name)), name);
    for (const name of Object.keys(manifest.devDependencies)) {
      assert.ok(!existsSync(join(app, 'node_modules', name, 'package.json')), name);
    }
  });

  imageTest('archives, is healthy and ends well, as its user, on a tree that it cannot change', async () => {
    const before = treeOf(app);
    worker = await image.start();
    const port = String(await worker.ready);
    const asked = image.run(settings.healthCheck, { PERMAFROST_HTTP_PORT: port });
    assert.deepEqual(asked, { status: 0, output: '/healthz answers 200\n' });
    const round = image.run(['node', '/app/round-trip.mjs', 'a-key']);
    assert.equal(round.status, 0, round.output);
    assert.match(round.output, /stored a-key at .*\nwhat was put came back: round trip at /);
    assert.equal(await worker.stop(), 0);
    assert.equal(image.run(settings.healthCheck, { PERMAFROST_HTTP_PORT: port }).status, 1);
    assert.deepEqual(treeOf(app), before);
    assert.ok(existsSync(join(root, 'data', 'shard-0000')));
    if (process.getuid?.() === 0) assert.equal(statSync(join(root, 'data', 'shard-0000')).uid, settings.user);
  });

  imageTest('has its commands on the path, for those who look into a container', () => {
    const { status, output } = image.run(['permafrost', 'inspect', '--json']);
    assert.equal(status, 0, output);
    assert.equal(JSON.parse(output).archive ?? 'main', 'main');
    const help = image.run(['permafrost', '--version']);
    assert.deepEqual(help, { status: 0, output: `permafrost ${manifest.version}\n` });
  });

  imageTest('grows the topology to what is asked, and lets it shrink only when that is said', async () => {
    worker = await image.start();
    const puts = (): number => JSON.parse(image.run(['permafrost', 'topology', 'show', '--json']).output).puts;
    const steps: readonly (readonly [words: string, status: number, puts: number])[] = [
      ['grow 1 60', 0, 1],
      ['grow 2 0', 1, 1],
      ['set 1 0', 0, 1],
    ];
    for (const [words, status, expected] of steps) {
      const ended = image.run(['node', '/app/topology.mjs', ...words.split(' ')]);
      assert.deepEqual([ended.status, puts()], [status, expected], `${words}: ${ended.output}`);
    }
    await worker.stop();
    assert.equal(image.run(['permafrost', 'topology', 'grow', '4', '--force']).status, 0);
    const refused = image.run(['node', '/app/topology.mjs', 'grow', '2', '0']);
    assert.equal(refused.status, 1);
    assert.match(refused.output, /puts go to 4 shards already/);
    assert.equal(image.run(['node', '/app/topology.mjs', 'set', '2', '0']).status, 0);
    assert.equal(puts(), 2);
  });

  imageTest(
    'runs as the chart starts it: pods, the job that gives puts to all, and the test of the release',
    async (t) => {
      if (notRendered !== undefined) return t.skip(notRendered);
      const values = ['--set', 'shards=2,archive=released'];
      const config = join(root, 'data', 'config.json');
      writeFileSync(config, configText(values));
      const pod = (shard: number): ImageProcesses => {
        const place = { PERMAFROST_SHARD: String(shard), PERMAFROST_DATA_DIR: join(root, 'data', `pod-${shard}`) };
        const env = { PERMAFROST_REDIS_URL: redis.url, PERMAFROST_HTTP_PORT: '0', PERMAFROST_CONFIG: config };
        return new ImageProcesses(root, settings, { ...env, ...place });
      };
      const workers = await Promise.all([pod(0).start(), pod(1).start()]);
      t.after(() => Promise.all(workers.map((each) => each.stop())));
      const vectors = [...template(values).matchAll(/command: (\["node", .*\])$/gm)].map(([, text]) =>
        JSON.parse(text ?? ''),
      );
      for (const words of ['check 2', 'grow 2', 'check 2', 'round-trip.mjs']) {
        const vector = vectors.find((each) => each.join(' ').includes(words));
        const { status, output } = pod(0).run(vector);
        assert.equal(status, 0, `${vector}: ${output}`);
      }
      const { puts, shards } = JSON.parse(pod(0).run(['permafrost', 'topology', 'show', '--json']).output);
      assert.equal(puts, 2);
      assert.deepEqual(
        shards.map(({ isLive }: { isLive: boolean }) => isLive),
        [true, true],
      );
    },
  );

  imageTest('refuses fewer workers than the archive ever had shards', () => {
    const check = (workers: string, env = {}) => image.run(['node', '/app/topology.mjs', 'check', workers], env);
    assert.deepEqual(check('4'), { status: 0, output: '4 workers are enough for 4 shards\n' });
    const { status, output } = check('3');
    assert.equal(status, 1);
    assert.match(output, /^the archive has records in 4 shards: with 3 workers, .*topology\.putShards$/m);
    const unknown = check('4', { PERMAFROST_REDIS_URL: 'nonsense' });
    assert.equal(unknown.status, 1);
    assert.match(unknown.output, /topology show ended with 2: nothing is changed/);
    assert.equal(check('none').status, 1);
  });

  imageTest('fails its round trip when nothing was put', () => {
    const broken = image.run(['node', '/app/round-trip.mjs'], { PERMAFROST_REDIS_URL: 'nonsense' });
    assert.equal(broken.status, 1);
    assert.match(broken.output, /permafrost put ended with 2/);
  });
});

/** A test of what was built: skipped, with the reason, where it could not be. */
function imageTest(name: string, body: (t: TestContext) => void | Promise<void>): void {
  void test(name, notBuilt === undefined ? {} : { skip: notBuilt }, body);
}

/** Each file of a tree with its size and the time of its last change. */
function treeOf(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((path) => {
    const { size, mtimeMs } = statSync(join(folder, path));
    return `${path} ${size} ${mtimeMs}`;
  });
}
