import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, get, type Server } from 'node:http';
import { type AddressInfo, createServer as createSocketServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findPrometheus } from '../../tools/prometheus.mjs';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';
import { Producer } from '../service/producer.ts';
import { WorkerProcess } from '../service/worker-process.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const compose = readFileSync(join(root, 'docker-compose.yml'), 'utf8');
const found = findPrometheus();

test('every file that Compose mounts is there', () => {
  const mounted = [...compose.matchAll(/- (\.\/[^:]+):/g)].map(([, path = '']) => path);
  assert.ok(mounted.length >= 4);
  for (const path of mounted) assert.ok(existsSync(join(root, path)), path);
});

test('Compose opens ports to this machine alone, and none of Redis', () => {
  const ports = [...compose.matchAll(/^ {6}- "([^"]*:\d+)"$/gm)].map(([, port]) => port);
  assert.deepEqual(ports, ['127.0.0.1:8410:8410', '127.0.0.1:9090:9090', '127.0.0.1:3000:3000']);
});

test('Redis of Compose keeps what waits: an append-only file, and nothing evicted', () => {
  const command = JSON.parse(/command: (\["redis-server".*\])/.exec(compose)?.[1] ?? '[]').join(' ');
  assert.match(command, /--appendonly yes .*--maxmemory-policy noeviction/);
});

describe('Prometheus, Redis and worker as Compose has them', () => {
  let site: Site;
  before(async () => {
    if ('prometheus' in found) site = await Site.open();
  });
  after(() => site?.close());

  prometheusTest('know each other: the worker is scraped, and its records are counted', async () => {
    await site.scraped(2);
    const [target] = (await site.ask('targets')).activeTargets;
    assert.deepEqual([target?.health, target?.lastError, target?.labels.job], ['up', '', 'permafrost']);
    assert.deepEqual(await site.values('permafrost_archive_records_total{outcome="stored"}'), [3]);
    assert.deepEqual(await site.values('permafrost_redis_unsuitable == 1'), []);
  });

  prometheusTest('have every alert loaded, understood, and silent', async () => {
    await site.evaluated();
    const rules = (await site.ask('rules')).groups.flatMap((group) => group.rules);
    assert.equal(
      rules.length,
      readFileSync(join(root, 'helm/rules/permafrost.yaml'), 'utf8').split('- alert:').length - 1,
    );
    for (const { name, health, state, lastError } of rules) {
      assert.deepEqual([health, state, lastError], ['ok', 'inactive', undefined], name);
    }
  });

  prometheusTest('answer what every panel of the dashboard asks', async () => {
    const { panels } = JSON.parse(readFileSync(join(root, 'helm/dashboards/permafrost.json'), 'utf8'));
    const asked = panels.flatMap(({ targets = [] }: { targets?: { expr: string }[] }) =>
      targets.map(({ expr }) => expr),
    );
    assert.ok(asked.length > 30);
    for (const expression of asked) {
      const query = expression.replaceAll('$__rate_interval', '1m').replaceAll(/\$(archive|shard)\b/g, '.*');
      await site.values(query);
    }
    assert.deepEqual(await site.values('count(count by (archive, shard) (permafrost_build_info))'), [1]);
  });
});

/** A test that runs one of Prometheus's programs: skipped, with the reason, where there are none. */
function prometheusTest(name: string, body: (t: TestContext) => void | Promise<void>): void {
  void test(name, 'reason' in found ? { skip: found.reason } : {}, body);
}

/** The parts of Prometheus's answers that are looked at; which of them is there depends on the question. */
interface Answer {
  readonly activeTargets: readonly { health: string; lastError: string; labels: Readonly<Record<string, string>> }[];
  readonly groups: readonly { rules: readonly { name: string; health: string; state: string; lastError?: string }[] }[];
  readonly result: readonly { value: readonly [number, string] }[];
}

/** Compose's services as processes of this machine. A door between Prometheus and worker tells of each scrape. */
class Site {
  readonly #folder = mkdtempSync(join(tmpdir(), 'permafrost-compose-'));
  readonly #scrapes = new EventEmitter();
  readonly #redis: RedisServer;
  readonly #worker: WorkerProcess;
  #scrapeCount = 0;
  #door: Server | undefined;
  #prometheus: ChildProcess | undefined;
  #url = '';

  static async open(): Promise<Site> {
    const redis = await startRedis();
    const site = new Site(redis);
    await site.#start();
    return site;
  }

  constructor(redis: RedisServer) {
    this.#redis = redis;
    const named = compose.matchAll(/^ {6}(PERMAFROST_\w+): "?([^"\n]*)"?$/gm);
    const settings = Object.fromEntries([...named].map(([, name, value]) => [name, value]));
    const own = { PERMAFROST_REDIS_URL: redis.url, PERMAFROST_DATA_DIR: join(this.#folder, 'data') };
    this.#worker = new WorkerProcess({ ...settings, ...own, PERMAFROST_HTTP_PORT: '0' });
  }

  /** Resolves when so many scrapes have been answered, and the one before the last is taken in. */
  async scraped(count: number): Promise<void> {
    while (this.#scrapeCount <= count) await once(this.#scrapes, 'answered');
  }

  /** Resolves when every rule was evaluated: once a second, as are scrapes. */
  async evaluated(): Promise<void> {
    for (;;) {
      const [group] = (await this.ask('rules')).groups;
      if (group?.rules.every(({ health }) => health !== 'unknown')) return;
      await once(this.#scrapes, 'answered');
    }
  }

  /** The data of an answer of Prometheus. */
  async ask(path: string): Promise<Answer> {
    const response = await fetch(`${this.#url}/api/v1/${path}`);
    const { status, data, error } = (await response.json()) as { status: string; data: Answer; error?: string };
    assert.equal(status, 'success', error);
    return data;
  }

  /** The values of an expression now. */
  async values(expression: string): Promise<readonly number[]> {
    const { result } = await this.ask(`query?query=${encodeURIComponent(expression)}`);
    return result.map(({ value }) => Number(value[1]));
  }

  async close(): Promise<void> {
    const ended = this.#prometheus && once(this.#prometheus, 'exit');
    this.#prometheus?.kill('SIGTERM');
    await ended;
    await this.#worker.end('SIGTERM');
    this.#door?.close();
    this.#door?.closeAllConnections();
    await this.#redis.stop();
    rmSync(this.#folder, { recursive: true });
  }

  async #start(): Promise<void> {
    await this.#worker.logged('worker-ready');
    const http = this.#worker.lines.find(({ event }) => event === 'worker-ready')?.http as { port: number } | undefined;
    const producer = new Producer(this.#redis.url, 'main');
    await producer.put('a-put', { one: 'a value', two: 'a value', three: 'another' });
    await producer.receipts(new Set(['a-put']));
    await producer.close();
    await this.#openDoor(http?.port ?? 0);
    await this.#startPrometheus();
  }

  async #openDoor(workerPort: number): Promise<void> {
    this.#door = createServer((request, response) => {
      get({ host: '127.0.0.1', port: workerPort, path: request.url }, (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response).once('finish', () => {
          this.#scrapeCount += 1;
          this.#scrapes.emit('answered');
        });
      });
    }).listen(0, '127.0.0.1');
    await once(this.#door, 'listening');
  }

  /** With the configuration of Compose, but for names, paths and a quicker pace. */
  async #startPrometheus(): Promise<void> {
    if ('reason' in found) throw new Error(found.reason);
    const door = this.#door?.address() as AddressInfo;
    const config = readFileSync(join(root, 'deploy/prometheus/prometheus.yaml'), 'utf8')
      .replaceAll('15s', '1s')
      .replace('worker:8410', `127.0.0.1:${door.port}`)
      .replace('/etc/prometheus/rules/', join(root, 'helm/rules/'));
    const file = join(this.#folder, 'prometheus.yaml');
    writeFileSync(file, config);
    const checked = spawnSync(found.promtool, ['check', 'config', file], { encoding: 'utf8' });
    assert.equal(checked.status, 0, checked.stderr);
    const port = await freePort();
    this.#url = `http://127.0.0.1:${port}`;
    const child = spawn(
      found.prometheus,
      [
        `--config.file=${file}`,
        `--storage.tsdb.path=${join(this.#folder, 'tsdb')}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { cwd: this.#folder, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    this.#prometheus = child;
    await serving(child);
  }
}

/** Resolves at Prometheus's own word; rejects with all that it said when it ends before. */
function serving(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    const said: string[] = [];
    if (child.stderr === null) return;
    createInterface({ input: child.stderr }).on('line', (line) => {
      said.push(line);
      if (line.includes('Server is ready to receive web requests')) resolve();
    });
    child.once('exit', (status) => reject(new Error(`Prometheus ended with ${status}:\n${said.join('\n')}`)));
  });
}

async function freePort(): Promise<number> {
  const server = createSocketServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
